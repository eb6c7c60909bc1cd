//! The little protocol by which a client gets its first handle (RFC 1813, appendix I).

use std::os::unix::ffi::OsStrExt;

use super::handles::Handle;
use super::rpc::Refused;
use super::xdr::{Malformed, Reader, Writer};
use super::{Export, Status, Subject, access::Identity};

pub(super) const PROGRAM: u32 = 100_005;
pub(super) const VERSION: u32 = 3;

const LONGEST_PATH: usize = 1024;
const AUTH_SYS: u32 = 1;

impl Export {
    pub(super) fn mount_program(
        &self,
        procedure: u32,
        who: &Identity,
        arguments: &mut Reader<'_>,
        out: &mut Writer,
    ) -> Result<(), Refused> {
        let path = match procedure {
            1 | 3 => Some(arguments.opaque(LONGEST_PATH).map_err(|Malformed| Refused::GarbageArguments)?),
            _ => None,
        };
        arguments.end().map_err(|Malformed| Refused::GarbageArguments)?;
        match (procedure, path) {
            (1, Some(path)) => match self.exported(who, path) {
                Ok(handle) => {
                    out.ok();
                    out.opaque(&self.handles.encode(&handle));
                    out.u32(1);
                    out.u32(AUTH_SYS);
                }
                Err(status) => out.status(status),
            },
            // Nobody keeps a list of who has mounted it.
            (2, _) => out.flag(false),
            (5, _) => {
                out.flag(true);
                out.opaque(b"/");
                out.flag(false);
                out.flag(false);
            }
            (0 | 3 | 4, _) => {}
            _ => return Err(Refused::NoProcedure),
        }
        Ok(())
    }

    /// `/`, a folder below it, or the name under which a kernel mounts it.
    fn exported(&self, who: &Identity, path: &[u8]) -> Result<Handle, Status> {
        let path = if path == self.name.as_os_str().as_bytes() { b"" } else { path };
        let root = Handle::root();
        let mut at = Subject { attr: self.attr(root.ino)?, handle: root };
        for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            at = self.child(who, &at, name)?;
        }
        Ok(at.handle)
    }
}
