//! Which procedure does what. Each reads its arguments and writes its result; a result that is an error says so in its
//! first word.

use super::rpc::{Call, Refused, answer};
use super::xdr::{Malformed, Reader, Writer};
use super::{Export, access::Identity, mount_program};

const PROGRAM: u32 = 100_003;
const VERSION: u32 = 3;

type Procedure = fn(&Export, &Identity, &mut Reader<'_>, &mut Writer) -> Result<(), Malformed>;

impl Export {
    pub(super) fn answer(&self, mut call: Call<'_>) -> Vec<u8> {
        answer(call.xid, |out| {
            let arguments = &mut call.arguments;
            match (call.program, call.version) {
                (PROGRAM, VERSION) => {
                    let procedure = procedure(call.procedure).ok_or(Refused::NoProcedure)?;
                    procedure(self, &call.who, arguments, out).map_err(|Malformed| Refused::GarbageArguments)
                }
                (mount_program::PROGRAM, mount_program::VERSION) => {
                    self.mount_program(call.procedure, &call.who, arguments, out)
                }
                (PROGRAM, _) => Err(Refused::OtherVersion(VERSION)),
                (mount_program::PROGRAM, _) => Err(Refused::OtherVersion(mount_program::VERSION)),
                _ => Err(Refused::NoProgram),
            }
        })
    }
}

fn procedure(number: u32) -> Option<Procedure> {
    Some(match number {
        0 => |_, _, arguments, _| arguments.end(),
        1 => Export::getattr,
        2 => Export::setattr,
        3 => Export::lookup,
        4 => Export::access,
        5 => Export::readlink,
        6 => Export::read,
        7 => Export::write,
        8 => Export::create,
        9 => Export::mkdir,
        10 => Export::symlink,
        11 => Export::mknod,
        12 => Export::remove,
        13 => Export::rmdir,
        14 => Export::rename,
        15 => Export::link,
        16 => Export::readdir,
        17 => Export::readdirplus,
        18 => Export::fsstat,
        19 => Export::fsinfo,
        20 => Export::pathconf,
        21 => Export::commit,
        _ => return None,
    })
}
