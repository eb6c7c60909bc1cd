//! What a remote can say, and what can happen on the way to it.

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nobody answered at that address: no such name, nothing listens, no trust in its certificate.
    #[error("{0}")]
    Unreachable(String),
    #[error("no answer came within {seconds} s")]
    Silent { seconds: u64 },
    /// The answer broke off, so that it is not known whether what was asked has happened.
    #[error("the connection broke off: {0}")]
    BrokenOff(String),
    /// 401 and 403.
    #[error("it answers with {status}")]
    NotAllowed { status: u16, token: bool },
    #[error("it answers with 404")]
    NotFound,
    /// Following it could hand the token to somebody else.
    #[error("it answers with {status}, and sends us to {to}")]
    Redirected { status: u16, to: String },
    #[error("it answers with {status}: {said}")]
    Failed { status: u16, said: String },
    #[error("its answer is not understood: {0}")]
    Junk(String),
    #[error("the token has a character that cannot be sent")]
    Token,
    /// A statement was refused; the batch that it was in did not happen. `step`: which one, from 0.
    #[error("{message}")]
    Refused { step: usize, message: String },
    #[error("the lease is {}", .0.as_ref().map_or("nobody's".to_owned(), ToString::to_string))]
    Lost(Option<Box<crate::lease::Standing>>),
}

impl Error {
    /// The same may go well in a moment.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Silent { .. } | Self::BrokenOff(_) => true,
            Self::Failed { status, .. } => *status >= 500 || *status == 429,
            _ => false,
        }
    }

    /// What came from the other side, or may have.
    pub(crate) fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        match self {
            Self::Unreachable(text)
            | Self::BrokenOff(text)
            | Self::Redirected { to: text, .. }
            | Self::Failed { said: text, .. }
            | Self::Junk(text)
            | Self::Refused { message: text, .. } => Some(text),
            Self::Silent { .. } | Self::NotAllowed { .. } | Self::NotFound | Self::Token | Self::Lost(_) => None,
        }
        .into_iter()
    }

    /// The remote may have done what it was asked, although this is an error.
    pub fn may_have_happened(&self) -> bool {
        matches!(self, Self::Silent { .. } | Self::BrokenOff(_) | Self::Junk(_))
            || matches!(self, Self::Failed { status, .. } if *status >= 500)
    }
}
