//! A client of NFS that is not ours, and one that says whatever a test wants it to.
#![allow(dead_code, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nfs3_client::nfs3_types::nfs3::*;
use nfs3_client::nfs3_types::rpc::{auth_unix, opaque_auth};
use nfs3_client::nfs3_types::xdr_codec::Opaque;
use nfs3_client::tokio::{TokioConnector, TokioIo};
use nfs3_client::{Nfs3Connection, Nfs3ConnectionBuilder};
use nixbox_engine::{Caller, Database, FileSystem, Options, Witness};
use nixbox_mount::nfs::{self, Served};
use tempfile::TempDir;
use tokio::net::TcpStream as TokioStream;
use tokio::runtime::Runtime;

pub type Answer<T> = Result<T, nfsstat3>;

/// A database that is served.
pub struct Server {
    served: Option<Served>,
    own: Option<(TempDir, Database, Options)>,
    tree: Arc<dyn FileSystem>,
    options: nfs::Options,
}

impl Server {
    /// Its root belongs to user 1000.
    pub fn new(adjust: impl FnOnce(&mut nfs::Options)) -> Self {
        let owner = Some(Caller { uid: 1000, gid: 1000 });
        Self::with(Options { owner, ..Options::default() }, adjust)
    }

    pub fn with(options: Options, adjust: impl FnOnce(&mut nfs::Options)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::open_or_create(&dir.path().join("a.db"), &options).unwrap();
        let mut server = Self::over(&database, Arc::new(()), adjust);
        server.own = Some((dir, database, options));
        server
    }

    pub fn over(database: &Database, witness: Arc<dyn Witness>, adjust: impl FnOnce(&mut nfs::Options)) -> Self {
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        let database_path: PathBuf = database.path().to_owned();
        let mut options = nfs::Options { address, database: database_path, read_only: false, uid: None, gid: None };
        adjust(&mut options);
        let served = nfs::serve(database.tree(), witness, &options).unwrap();
        Self { served: Some(served), own: None, tree: database.tree(), options }
    }

    /// Closed and opened again, as by an owner that ended and one that came after it.
    pub fn restart(&mut self, database: impl FnOnce(&mut Options), served: impl FnOnce(&mut nfs::Options)) {
        self.served = None;
        let (dir, open, mut options) = self.own.take().unwrap();
        open.close().unwrap();
        database(&mut options);
        served(&mut self.options);
        let open = Database::open_or_create(&dir.path().join("a.db"), &options).unwrap();
        self.tree = open.tree();
        self.served = Some(nfs::serve(open.tree(), Arc::new(()), &self.options).unwrap());
        self.own = Some((dir, open, options));
    }

    pub fn address(&self) -> SocketAddr {
        self.served.as_ref().unwrap().address()
    }

    pub fn tree(&self) -> &dyn FileSystem {
        &*self.tree
    }

    pub fn client(&self, who: opaque_auth<'static>) -> Client {
        Client::connect(self.address(), who)
    }

    pub fn nobody(&self) -> Client {
        self.client(opaque_auth::default())
    }
}

pub fn who(uid: u32, gid: u32) -> opaque_auth<'static> {
    opaque_auth::auth_unix(&auth_unix { uid, gid, ..auth_unix::default() })
}

pub struct Client {
    runtime: Runtime,
    connection: Nfs3Connection<TokioIo<TokioStream>>,
}

fn plain<T, E>(result: Nfs3Result<T, E>) -> Answer<T> {
    match result {
        Nfs3Result::Ok(value) => Ok(value),
        Nfs3Result::Err((status, _)) => Err(status),
    }
}

fn place<'a>(folder: &nfs_fh3, name: &'a str) -> diropargs3<'a> {
    diropargs3 { dir: folder.clone(), name: name.as_bytes().into() }
}

fn mode(mode: u32) -> sattr3 {
    sattr3 { mode: set_mode3::Some(mode), ..sattr3::default() }
}

fn handle(given: Nfs3Option<nfs_fh3>) -> nfs_fh3 {
    given.unwrap()
}

/// One request and its answer.
macro_rules! ask {
    ($client:ident, $procedure:ident, $arguments:expr) => {{
        let Client { runtime, connection } = $client;
        plain(runtime.block_on(connection.$procedure(&$arguments)).unwrap())
    }};
}

impl Client {
    pub fn connect(address: SocketAddr, who: opaque_auth<'static>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let builder = Nfs3ConnectionBuilder::new(TokioConnector, address.ip().to_string(), "/")
            .connect_from_privileged_port(false)
            .mount_port(address.port())
            .nfs3_port(address.port())
            .credential(who);
        let connection = runtime.block_on(builder.mount()).unwrap();
        Self { runtime, connection }
    }

    pub fn root(&self) -> nfs_fh3 {
        self.connection.root_nfs_fh3()
    }

    pub fn attr(&mut self, object: &nfs_fh3) -> Answer<fattr3> {
        ask!(self, getattr, GETATTR3args { object: object.clone() }).map(|ok| ok.obj_attributes)
    }

    pub fn lookup(&mut self, folder: &nfs_fh3, name: &str) -> Answer<nfs_fh3> {
        ask!(self, lookup, LOOKUP3args { what: place(folder, name) }).map(|ok| ok.object)
    }

    pub fn access(&mut self, object: &nfs_fh3, access: u32) -> u32 {
        ask!(self, access, ACCESS3args { object: object.clone(), access }).unwrap().access
    }

    pub fn setattr(&mut self, object: &nfs_fh3, change: sattr3, only_if: Option<nfstime3>) -> Answer<()> {
        let guard = only_if.map_or(sattrguard3::None, sattrguard3::Some);
        let arguments = SETATTR3args { object: object.clone(), new_attributes: change, guard };
        ask!(self, setattr, arguments).map(drop)
    }

    fn make(&mut self, folder: &nfs_fh3, name: &str, how: createhow3) -> Answer<nfs_fh3> {
        ask!(self, create, CREATE3args { where_: place(folder, name), how }).map(|ok| handle(ok.obj))
    }

    /// Empty, also where it is there already.
    pub fn create(&mut self, folder: &nfs_fh3, name: &str, perm: u32) -> Answer<nfs_fh3> {
        let attributes = sattr3 { size: set_size3::Some(0), ..mode(perm) };
        self.make(folder, name, createhow3::UNCHECKED(attributes))
    }

    pub fn create_guarded(&mut self, folder: &nfs_fh3, name: &str) -> Answer<nfs_fh3> {
        self.make(folder, name, createhow3::GUARDED(mode(0o644)))
    }

    pub fn create_exclusive(&mut self, folder: &nfs_fh3, name: &str, mark: [u8; 8]) -> Answer<nfs_fh3> {
        self.make(folder, name, createhow3::EXCLUSIVE(createverf3(mark)))
    }

    pub fn mkdir(&mut self, folder: &nfs_fh3, name: &str, perm: u32) -> Answer<nfs_fh3> {
        ask!(self, mkdir, MKDIR3args { where_: place(folder, name), attributes: mode(perm) }).map(|ok| handle(ok.obj))
    }

    pub fn symlink(&mut self, folder: &nfs_fh3, name: &str, target: &str) -> Answer<nfs_fh3> {
        let symlink = symlinkdata3 { symlink_attributes: sattr3::default(), symlink_data: target.as_bytes().into() };
        ask!(self, symlink, SYMLINK3args { where_: place(folder, name), symlink }).map(|ok| handle(ok.obj))
    }

    pub fn mkfifo(&mut self, folder: &nfs_fh3, name: &str) -> Answer<nfs_fh3> {
        let what = mknoddata3::NF3FIFO(mode(0o644));
        ask!(self, mknod, MKNOD3args { where_: place(folder, name), what }).map(|ok| handle(ok.obj))
    }

    pub fn readlink(&mut self, link: &nfs_fh3) -> Answer<Vec<u8>> {
        ask!(self, readlink, READLINK3args { symlink: link.clone() }).map(|ok| ok.data.0.into_owned())
    }

    pub fn read(&mut self, file: &nfs_fh3, offset: u64, count: u32) -> Answer<(Vec<u8>, bool)> {
        ask!(self, read, READ3args { file: file.clone(), offset, count }).map(|ok| (ok.data.into_owned(), ok.eof))
    }

    pub fn write(&mut self, file: &nfs_fh3, offset: u64, data: &[u8], stable: stable_how) -> Answer<()> {
        let count = data.len() as u32;
        let arguments = WRITE3args { file: file.clone(), offset, count, stable, data: Opaque::borrowed(data) };
        ask!(self, write, arguments).map(|ok| {
            assert_eq!(ok.count, count);
            assert!(ok.committed as u32 >= stable as u32);
        })
    }

    pub fn commit(&mut self, file: &nfs_fh3) -> Answer<()> {
        ask!(self, commit, COMMIT3args { file: file.clone(), offset: 0, count: 0 }).map(drop)
    }

    pub fn verifier(&mut self, file: &nfs_fh3) -> [u8; 8] {
        ask!(self, commit, COMMIT3args { file: file.clone(), offset: 0, count: 0 }).unwrap().verf.0
    }

    pub fn remove(&mut self, folder: &nfs_fh3, name: &str) -> Answer<()> {
        ask!(self, remove, REMOVE3args { object: place(folder, name) }).map(drop)
    }

    pub fn rmdir(&mut self, folder: &nfs_fh3, name: &str) -> Answer<()> {
        ask!(self, rmdir, RMDIR3args { object: place(folder, name) }).map(drop)
    }

    pub fn rename(&mut self, from: &nfs_fh3, old: &str, to: &nfs_fh3, new: &str) -> Answer<()> {
        ask!(self, rename, RENAME3args { from: place(from, old), to: place(to, new) }).map(drop)
    }

    pub fn link(&mut self, file: &nfs_fh3, folder: &nfs_fh3, name: &str) -> Answer<()> {
        ask!(self, link, LINK3args { file: file.clone(), link: place(folder, name) }).map(drop)
    }

    pub fn room(&mut self) -> FSSTAT3resok {
        let fsroot = self.root();
        ask!(self, fsstat, FSSTAT3args { fsroot }).unwrap()
    }

    /// Names and cookies, without the dots, and whether that was all.
    pub fn page(&mut self, dir: &nfs_fh3, cookie: u64, large: bool) -> Answer<(Vec<(String, u64)>, bool)> {
        let (dircount, maxcount) = if large { (1 << 20, 1 << 20) } else { (8192, 32768) };
        let cookieverf = cookieverf3::default();
        let arguments = READDIRPLUS3args { dir: dir.clone(), cookie, cookieverf, dircount, maxcount };
        let page = ask!(self, readdirplus, arguments)?;
        let mut entries = Vec::new();
        for entry in page.reply.entries.0 {
            let name = String::from_utf8(entry.name.0.into_owned()).unwrap();
            if name != "." && name != ".." {
                assert!(entry.name_handle.is_some() && entry.name_attributes.is_some(), "{name}");
                entries.push((name, entry.cookie));
            }
        }
        Ok((entries, page.reply.eof))
    }

    pub fn names(&mut self, dir: &nfs_fh3) -> BTreeSet<String> {
        let (mut names, mut cookie) = (BTreeSet::new(), 0);
        loop {
            let (entries, eof) = self.page(dir, cookie, false).unwrap();
            cookie = entries.last().map_or(cookie, |(_, cookie)| *cookie);
            for (name, _) in entries {
                assert!(names.insert(name), "listed twice");
            }
            if eof {
                return names;
            }
        }
    }

    pub fn names_alone(&mut self, dir: &nfs_fh3) -> BTreeSet<Vec<u8>> {
        let (mut names, mut cookie) = (BTreeSet::new(), 0);
        loop {
            let cookieverf = cookieverf3::default();
            let page = ask!(self, readdir, READDIR3args { dir: dir.clone(), cookie, cookieverf, count: 4096 }).unwrap();
            for entry in page.reply.entries.0 {
                cookie = entry.cookie;
                assert!(names.insert(entry.name.0.into_owned()), "listed twice");
            }
            if page.reply.eof {
                return names;
            }
        }
    }
}

/// Bytes on the wire.
pub struct Raw(TcpStream);

impl Raw {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(90))).unwrap();
        stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
        Self(stream)
    }

    pub fn send_raw(&mut self, header: u32, body: &[u8]) {
        let _ = self.0.write_all(&header.to_be_bytes()).and_then(|()| self.0.write_all(body));
    }

    /// No more is read from it: the connection is closed or reset.
    pub fn is_cut_off(&mut self) -> bool {
        match self.0.read(&mut [0; 64]) {
            Ok(read) => read == 0,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }

    fn message(xid: u32, program: u32, version: u32, procedure: u32, arguments: &[u8]) -> Vec<u8> {
        let words = [xid, 0, 2, program, version, procedure, 0, 0, 0, 0];
        let call: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).chain(arguments.iter().copied()).collect();
        [&(call.len() as u32 | 1 << 31).to_be_bytes()[..], &call].concat()
    }

    /// Whether it was accepted, and with what status.
    pub fn call(&mut self, program: u32, version: u32, procedure: u32, arguments: &[u8]) -> Option<(u32, u32)> {
        self.0.write_all(&Self::message(5, program, version, procedure, arguments)).ok()?;
        let mut header = [0; 4];
        self.0.read_exact(&mut header).ok()?;
        let mut answer = vec![0; (u32::from_be_bytes(header) & !(1 << 31)) as usize];
        self.0.read_exact(&mut answer).ok()?;
        let word = |at: usize| u32::from_be_bytes(answer[at..at + 4].try_into().unwrap());
        assert_eq!((word(0), word(4)), (5, 1));
        Some((word(8), word(20)))
    }

    pub fn ask_to_read(&mut self, xid: u32, file: &nfs_fh3, count: u32) -> io::Result<()> {
        let handle = &file.data;
        let mut arguments = (handle.len() as u32).to_be_bytes().to_vec();
        arguments.extend_from_slice(handle);
        arguments.resize(arguments.len().next_multiple_of(4), 0);
        arguments.extend_from_slice(&0u64.to_be_bytes());
        arguments.extend_from_slice(&count.to_be_bytes());
        self.0.write_all(&Self::message(xid, 100_003, 3, 6, &arguments))
    }
}

pub fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
