use std::fs::File;
use std::io::Read;

use nixbox_report::Report;

/// What a name is made of: nothing that looks like something else.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LENGTH: usize = 6;

/// A name that nothing has.
pub fn free(is_taken: impl Fn(&str) -> bool) -> Result<String, Report> {
    let mut random = File::open("/dev/urandom")?;
    loop {
        let mut bytes = [0; LENGTH];
        random.read_exact(&mut bytes)?;
        let letters = bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
        let name: String = "run-".chars().chain(letters).collect();
        if !is_taken(&name) {
            return Ok(name);
        }
    }
}
