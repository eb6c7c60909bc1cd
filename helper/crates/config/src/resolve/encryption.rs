//! How an instance's database is encrypted.

use nixbox_report::codes;

use super::Resolver;
use super::secret_source::{KEY, Places};
use crate::document::{At, EncryptionDocument};
use crate::project::Encryption;
use crate::tree::join;
use crate::words::Cipher;

impl Resolver<'_> {
    pub(super) fn encryption(
        &mut self,
        instance: &str,
        written: Option<&At<EncryptionDocument>>,
    ) -> Option<Encryption> {
        let At { value: table, line } = written?;
        let key = &join(instance, "encryption");
        let cipher = self.pick(key, "cipher", table.cipher.as_ref(), Cipher::default());
        let places =
            Places { file: table.key_file.as_ref(), command: &table.key_command, variable: table.key_env.as_ref() };
        if places.count() == 0 {
            let help = "set one of `key_file`, `key_command` and `key_env`";
            self.report(&codes::CONFIG_VALUE, *line, key, "Nothing says where the key is".into(), help);
        }
        let key = self.secret_source(key, *line, &KEY, &places)?;
        Some(Encryption { cipher, key })
    }
}
