use std::collections::VecDeque;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::child::Child;
use crate::descendants;
use crate::event::{Event, Id};
use crate::notices::Notices;
use crate::pidfd::timeout;
use crate::spec::Spec;

/// Starts children and tells what becomes of them. Dropping it leaves them as they are: tied ones end with this
/// process, detached ones stay.
#[derive(Debug)]
pub struct Supervisor {
    children: Vec<Child>,
    signals: Option<SignalFd>,
    woken: PipeReader,
    waker: Waker,
    notices: Option<Notices>,
    alarm: Option<TimerFd>,
    /// Found together with the event returned last.
    queue: VecDeque<Event>,
}

/// Interrupts the supervisor's sleep from another thread.
#[derive(Debug, Clone)]
pub struct Waker(Arc<PipeWriter>);

impl Waker {
    pub fn wake(&self) {
        // A full pipe wakes as well as a fuller one.
        let _ = (&*self.0).write(&[1]);
    }
}

enum Source {
    Woken,
    Notices,
    Signals,
    Alarm,
    End(usize),
    Output(usize),
}

impl Supervisor {
    /// `signals` arrive as events from now on. Call it before other threads are started: they would get them.
    pub fn new(signals: &[Signal]) -> io::Result<Self> {
        let (woken, waker) = io::pipe()?;
        for end in [woken.as_fd(), waker.as_fd()] {
            fcntl(end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        let signals = if signals.is_empty() {
            None
        } else {
            let mask = signals.iter().copied().collect::<SigSet>();
            mask.thread_block()?;
            Some(SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?)
        };
        Ok(Self {
            children: Vec::new(),
            signals,
            woken,
            waker: Waker(Arc::new(waker)),
            notices: None,
            alarm: None,
            queue: VecDeque::new(),
        })
    }

    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Wakes at that time of the day, also where the machine has slept past it, and whenever the clock is set.
    pub fn wake_at(&mut self, at: SystemTime) -> io::Result<()> {
        let alarm = match self.alarm.take() {
            Some(alarm) => alarm,
            None => TimerFd::new(ClockId::CLOCK_REALTIME, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?,
        };
        // None at all would disarm it.
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default().max(Duration::from_nanos(1));
        let how = TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET;
        alarm.set(Expiration::OneShot(TimeSpec::from_duration(since)), how)?;
        self.alarm = Some(alarm);
        Ok(())
    }

    pub fn start(&mut self, spec: Spec) -> io::Result<Id> {
        let mut child = Child::new(spec);
        child.start()?;
        self.children.push(child);
        Ok(Id(self.children.len() - 1))
    }

    /// Something else in the place of a child that has ended.
    pub fn replace(&mut self, id: Id, spec: Spec) -> io::Result<()> {
        self.children.get_mut(id.0).map_or(Err(io::ErrorKind::NotFound.into()), |child| child.replace(spec))
    }

    /// Hears from now on what children say of themselves at this socket, which is theirs as NOTIFY_SOCKET.
    pub fn listen(&mut self, at: &Path) -> io::Result<()> {
        self.notices = Some(Notices::at(at)?);
        Ok(())
    }

    pub fn signal(&self, id: Id, signal: Signal) -> io::Result<()> {
        self.children.get(id.0).map_or(Ok(()), |child| child.signal(signal))
    }

    pub fn kill(&mut self, id: Id) -> io::Result<()> {
        self.children.get_mut(id.0).map_or(Ok(()), Child::kill)
    }

    /// Ends what children that have ended have left behind, as far as it came to this process: to be asked of one
    /// that such ones come to (`set_child_subreaper`), and that starts nothing in any other way.
    pub fn end_strays(&self) -> bool {
        let running = self.children.iter().filter_map(Child::process);
        descendants::end_strays(&running.map(|process| process.pid).collect::<Vec<_>>())
    }

    pub fn child(&self, id: Id) -> Option<&Child> {
        self.children.get(id.0)
    }

    /// How many have not ended, as far as `next` has told: whoever waits until there is none misses no end.
    pub fn running(&self) -> usize {
        let untold = self.queue.iter().filter(|event| matches!(event, Event::Ended { .. })).count();
        untold + self.children.iter().filter(|child| child.running().is_some()).count()
    }

    /// Whether `next` has something to tell without sleeping.
    pub fn has_queued(&self) -> bool {
        !self.queue.is_empty()
    }

    pub fn stop(&mut self, id: Id, grace: Duration) -> io::Result<()> {
        self.children.get_mut(id.0).map_or(Ok(()), |child| child.stop(grace))
    }

    /// All at once, not one after the other: the longest grace is the whole wait.
    pub fn stop_all(&mut self, grace: Duration) -> io::Result<()> {
        self.children.iter_mut().try_for_each(|child| child.stop(grace))
    }

    pub fn kill_all(&mut self) -> io::Result<()> {
        self.children.iter_mut().try_for_each(Child::kill)
    }

    /// Sleeps until something happens.
    pub fn next(&mut self, deadline: Option<Instant>) -> io::Result<Event> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Ok(event);
            }
            if let Some(event) = self.grace_over()? {
                return Ok(event);
            }
            if deadline.is_some_and(|at| at <= Instant::now()) {
                return Ok(Event::Deadline);
            }
            for source in self.wait(deadline)? {
                self.gather(source)?;
            }
        }
    }

    fn grace_over(&mut self) -> io::Result<Option<Event>> {
        let now = Instant::now();
        for (index, child) in self.children.iter_mut().enumerate() {
            let over = child.running().is_some_and(|running| running.kill_at.is_some_and(|at| at <= now));
            if over {
                // A year on: it is dead already, `Ended` is all that is left to come.
                let told = child.running_mut().is_some_and(|running| {
                    running.kill_at = Some(now + Duration::from_secs(31_536_000));
                    true
                });
                child.kill()?;
                if told {
                    return Ok(Some(Event::GraceOver { child: Id(index) }));
                }
            }
        }
        Ok(None)
    }

    fn wait(&self, deadline: Option<Instant>) -> io::Result<Vec<Source>> {
        let mut sources = vec![Source::Woken];
        let mut fds: Vec<BorrowedFd<'_>> = vec![self.woken.as_fd()];
        if let Some(signals) = &self.signals {
            sources.push(Source::Signals);
            fds.push(signals.as_fd());
        }
        if let Some(notices) = &self.notices {
            sources.push(Source::Notices);
            fds.push(notices.as_fd());
        }
        if let Some(alarm) = &self.alarm {
            sources.push(Source::Alarm);
            fds.push(alarm.as_fd());
        }
        let mut until = deadline;
        for (index, child) in self.children.iter().enumerate() {
            let Some(running) = child.running() else { continue };
            // Output before the end, so that a child's last words come before its death.
            if let Some(fd) = running.lines.as_ref().and_then(|lines| lines.pending()) {
                sources.push(Source::Output(index));
                fds.push(fd);
            }
            sources.push(Source::End(index));
            fds.push(running.handle().as_fd());
            until = [until, running.kill_at].into_iter().flatten().min();
        }
        let mut fds: Vec<_> = fds.into_iter().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        match poll(&mut fds, timeout(until)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let happened: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(true)).collect();
        Ok(sources.into_iter().zip(happened).filter_map(|(source, yes)| yes.then_some(source)).collect())
    }

    fn gather(&mut self, source: Source) -> io::Result<()> {
        match source {
            Source::Woken => {
                let mut sink = [0; 256];
                while matches!(self.woken.read(&mut sink), Ok(n) if n > 0) {}
                self.queue.push_back(Event::Woken);
            }
            Source::Notices => {
                while let Some((pid, notice)) = self.notices.as_ref().map(Notices::next).transpose()?.flatten() {
                    let from = |child: &Child| child.process().is_some_and(|process| process.pid == pid);
                    if let Some(index) = self.children.iter().position(from) {
                        self.queue.push_back(Event::Said { child: Id(index), notice });
                    }
                }
            }
            Source::Signals => {
                while let Some(info) = self.signals.as_ref().map(SignalFd::read_signal).transpose()?.flatten() {
                    if let Ok(signal) = Signal::try_from(info.ssi_signo as i32) {
                        self.queue.push_back(Event::Signal(signal));
                    }
                }
            }
            Source::Alarm => {
                // It went off, or the clock was set, and reading says which; either way it is to be set again.
                if let Some(alarm) = &self.alarm {
                    let mut count = [0; 8];
                    let _ = nix::unistd::read(alarm.as_fd(), &mut count);
                }
                self.queue.push_back(Event::Woken);
            }
            Source::Output(index) => {
                let lines = self.children[index].running_mut().and_then(|running| running.lines.as_mut());
                let lines = lines.map(|lines| lines.read(false)).unwrap_or_default();
                self.push(index, lines);
            }
            Source::End(index) => {
                if let Some((ended, rest)) = self.children[index].reap()? {
                    self.push(index, rest);
                    self.queue.push_back(Event::Ended { child: Id(index), ended });
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, index: usize, text: String) {
        if !text.is_empty() {
            self.queue.push_back(Event::Output { child: Id(index), text });
        }
    }
}
