//! Calls and answers (RFC 5531), and how they follow each other on a connection.

use std::io::{self, Read as _};

use super::access::Identity;
use super::xdr::{Malformed, Read, Reader, Writer};

/// The largest write there can be, and what stands around it.
pub(super) const LONGEST_MESSAGE: usize = super::LARGEST_TRANSFER as usize + 64 * 1024;

const LAST_FRAGMENT: u32 = 1 << 31;
const RPC_VERSION: u32 = 2;
const CALL: u32 = 0;
const REPLY: u32 = 1;
const ACCEPTED: u32 = 0;
const DENIED: u32 = 1;
const RPC_MISMATCH: u32 = 0;
const AUTH_ERROR: u32 = 1;
const AUTH_BADCRED: u32 = 1;
const AUTH_TOOWEAK: u32 = 5;
const AUTH_NONE: u32 = 0;
const AUTH_SYS: u32 = 1;
const LONGEST_AUTH: usize = 400;
const LONGEST_MACHINE_NAME: usize = 255;
const MOST_GROUPS: usize = 16;

/// Why a call was not carried out, in the words of RPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    NoProgram,
    /// Only this version of it is spoken.
    OtherVersion(u32),
    NoProcedure,
    GarbageArguments,
}

pub(super) struct Call<'a> {
    pub(super) xid: u32,
    pub(super) program: u32,
    pub(super) version: u32,
    pub(super) procedure: u32,
    pub(super) who: Identity,
    pub(super) arguments: Reader<'a>,
}

/// A message is a call, or it gets this answer at once. What is no call at all is malformed.
pub(super) fn understand(message: &[u8]) -> Read<Result<Call<'_>, Vec<u8>>> {
    let mut reader = Reader::new(message);
    let xid = reader.u32()?;
    if reader.u32()? != CALL {
        return Err(Malformed);
    }
    if reader.u32()? != RPC_VERSION {
        return Ok(Err(denied(xid, &[RPC_MISMATCH, RPC_VERSION, RPC_VERSION])));
    }
    let (program, version, procedure) = (reader.u32()?, reader.u32()?, reader.u32()?);
    let (flavor, credential) = (reader.u32()?, reader.opaque(LONGEST_AUTH)?);
    let (_, _) = (reader.u32()?, reader.opaque(LONGEST_AUTH)?);
    let who = match flavor {
        AUTH_NONE => Identity::nobody(),
        AUTH_SYS => match identity(&mut Reader::new(credential)) {
            Ok(who) => who,
            Err(Malformed) => return Ok(Err(denied(xid, &[AUTH_ERROR, AUTH_BADCRED]))),
        },
        _ => return Ok(Err(denied(xid, &[AUTH_ERROR, AUTH_TOOWEAK]))),
    };
    Ok(Ok(Call { xid, program, version, procedure, who, arguments: reader }))
}

fn identity(credential: &mut Reader<'_>) -> Read<Identity> {
    let _stamp = credential.u32()?;
    let _machine = credential.opaque(LONGEST_MACHINE_NAME)?;
    let (uid, gid) = (credential.u32()?, credential.u32()?);
    let count = credential.u32()? as usize;
    if count > MOST_GROUPS {
        return Err(Malformed);
    }
    let groups = (0..count).map(|_| credential.u32()).collect::<Read<_>>()?;
    credential.end()?;
    Ok(Identity { uid, gid, groups })
}

/// The answer to a call: `carry_out` writes what the procedure returns.
pub(super) fn answer(xid: u32, carry_out: impl FnOnce(&mut Writer) -> Result<(), Refused>) -> Vec<u8> {
    let mut out = Writer::default();
    for word in [xid, REPLY, ACCEPTED, AUTH_NONE, 0] {
        out.u32(word);
    }
    let head = out.len();
    out.u32(0);
    let Err(refused) = carry_out(&mut out) else { return out.into_bytes() };
    out.truncate(head);
    match refused {
        Refused::NoProgram => out.u32(1),
        Refused::OtherVersion(version) => [2, version, version].into_iter().for_each(|word| out.u32(word)),
        Refused::NoProcedure => out.u32(3),
        Refused::GarbageArguments => out.u32(4),
    }
    out.into_bytes()
}

fn denied(xid: u32, why: &[u32]) -> Vec<u8> {
    let mut out = Writer::default();
    for word in [xid, REPLY, DENIED].iter().chain(why) {
        out.u32(*word);
    }
    out.into_bytes()
}

/// The next message. `None`: the connection was closed between two messages.
pub(super) fn receive(stream: &mut impl io::Read) -> io::Result<Option<Vec<u8>>> {
    let mut message = Vec::new();
    loop {
        let mut header = [0; 4];
        if stream.read(&mut header[..1])? == 0 {
            return if message.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        stream.read_exact(&mut header[1..])?;
        let header = u32::from_be_bytes(header);
        let length = (header & !LAST_FRAGMENT) as usize;
        if message.len() + length > LONGEST_MESSAGE {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a message is too long"));
        }
        // Memory is taken as bytes come, not as they are announced.
        if stream.by_ref().take(length as u64).read_to_end(&mut message)? < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if header & LAST_FRAGMENT != 0 {
            return Ok(Some(message));
        }
    }
}

pub(super) fn send(stream: &mut impl io::Write, message: &[u8]) -> io::Result<()> {
    let header = (message.len() as u32 | LAST_FRAGMENT).to_be_bytes();
    // In one piece where it is short, so that it leaves in one packet.
    if message.len() <= 4096 {
        return stream.write_all(&[&header[..], message].concat());
    }
    stream.write_all(&header)?;
    stream.write_all(message)?;
    stream.flush()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn fragments_become_one_message() {
        let mut stream = &[0, 0, 0, 2, 1, 2, 0, 0, 0, 0, 0x80, 0, 0, 1, 3][..];
        assert_eq!(receive(&mut stream).unwrap(), Some(vec![1, 2, 3]));
        assert_eq!(receive(&mut stream).unwrap(), None);
    }

    #[test]
    fn nothing_is_taken_for_what_is_only_announced() {
        let error = receive(&mut &[0xff, 0xff, 0xff, 0xff][..]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let error = receive(&mut &[0x80, 0, 0xff, 0xff, 1][..]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn junk_is_no_call_and_no_panic() {
        let mut state = 1u64;
        for length in 0..300 {
            let junk: Vec<u8> = (0..length)
                .map(|_| {
                    state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    (state >> 33) as u8
                })
                .collect();
            assert!(understand(&junk).is_err());
        }
    }

    #[test]
    fn too_many_groups_are_no_credential() {
        let mut credential = Writer::default();
        for word in [0, 0, 1000, 1000, u32::MAX] {
            credential.u32(word);
        }
        let mut call = Writer::default();
        for word in [9, CALL, RPC_VERSION, 100_003, 3, 0, AUTH_SYS] {
            call.u32(word);
        }
        call.opaque(&credential.into_bytes());
        call.u32(AUTH_NONE);
        call.opaque(&[]);
        let call = call.into_bytes();
        let refused = understand(&call).unwrap().err();
        assert_eq!(refused, Some(denied(9, &[AUTH_ERROR, AUTH_BADCRED])));
    }
}
