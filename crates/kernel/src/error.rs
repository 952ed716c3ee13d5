use std::{error::Error as StdError, fmt};

/// The vocabulary of failures. HTTP status and wire format are decided at the edge, in `plasma-http`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The request is wrong; sending it again will not help.
    Invalid,
    /// No valid credentials.
    Unauthenticated,
    /// Valid credentials without the permission.
    Forbidden,
    /// No such thing, or it belongs to another tenant.
    NotFound,
    /// The state does not allow it now.
    Conflict,
    /// It existed and was removed.
    Gone,
    /// Over a size, depth or count limit.
    TooLarge,
    /// Too many requests; try again after the stated time.
    RateLimited,
    /// A budget is used up.
    OverBudget,
    /// Something needed is absent or not ready; the remedy says what to do.
    Unavailable,
    /// It took longer than allowed.
    Timeout,
    /// Another system that we called failed.
    Upstream,
    /// Our own fault.
    Internal,
}

impl Code {
    /// The stable text form, as in `not_found`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Gone => "gone",
            Self::TooLarge => "too_large",
            Self::RateLimited => "rate_limited",
            Self::OverBudget => "over_budget",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Upstream => "upstream",
            Self::Internal => "internal",
        }
    }

    /// Whether the same work may succeed later without a change by the caller; durable jobs retry only then.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::RateLimited | Self::Unavailable | Self::Timeout | Self::Upstream | Self::Internal)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A failure that a person can act on: what is wrong, in which field, and how to mend it.
pub struct Error(Box<Details>);

struct Details {
    code: Code,
    reason: &'static str,
    message: String,
    field: Option<String>,
    remedy: Option<String>,
    retry_after_ms: Option<u64>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// `Result` with Plasma's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of this code; `reason` is a stable identifier that programs may match on, such as `collection_not_found`.
    pub fn new(code: Code, reason: &'static str, message: impl Into<String>) -> Self {
        Self(Box::new(Details {
            code,
            reason,
            message: message.into(),
            field: None,
            remedy: None,
            retry_after_ms: None,
            source: None,
        }))
    }

    /// A wrong request; `field` names the place at fault.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Code::Invalid, "invalid", message).field(field)
    }

    /// No valid credentials.
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(Code::Unauthenticated, "unauthenticated", message)
    }

    /// Not allowed.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(Code::Forbidden, "forbidden", message)
    }

    /// No such `noun` for this tenant: `reason` is e.g. `collection_not_found`.
    pub fn not_found(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(Code::NotFound, reason, message)
    }

    /// The current state does not allow it.
    pub fn conflict(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(Code::Conflict, reason, message)
    }

    /// Over a limit.
    pub fn too_large(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Code::TooLarge, "too_large", message).field(field)
    }

    /// Something needed is absent; say how to get it with [`Error::remedy`].
    pub fn unavailable(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(Code::Unavailable, reason, message)
    }

    /// Our own fault. The message goes to the log, never to the caller.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Code::Internal, "internal", message)
    }

    /// An unexpected failure of a library or the machine, with its cause kept for the log.
    pub fn from_source(message: impl Into<String>, source: impl StdError + Send + Sync + 'static) -> Self {
        Self::internal(message).source(source)
    }

    /// Names the field at fault, as a path such as `documents[3].title`.
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.0.field = Some(field.into());
        self
    }

    /// Says how to mend it.
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.0.remedy = Some(remedy.into());
        self
    }

    /// When trying again makes sense, in milliseconds from now.
    pub fn retry_after_ms(mut self, retry_after_ms: u64) -> Self {
        self.0.retry_after_ms = Some(retry_after_ms);
        self
    }

    /// Keeps the cause for the log.
    pub fn source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.0.source = Some(Box::new(source));
        self
    }

    /// The class of failure.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The stable identifier that programs may match on.
    pub fn reason(&self) -> &'static str {
        self.0.reason
    }

    /// What is wrong, for a person.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The field at fault.
    pub fn field_name(&self) -> Option<&str> {
        self.0.field.as_deref()
    }

    /// How to mend it.
    pub fn remedy_text(&self) -> Option<&str> {
        self.0.remedy.as_deref()
    }

    /// Milliseconds until another try makes sense.
    pub fn retry_after(&self) -> Option<u64> {
        self.0.retry_after_ms
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = &self.0.field {
            write!(formatter, "{field}: ")?;
        }
        formatter.write_str(&self.0.message)?;
        if let Some(remedy) = &self.0.remedy {
            write!(formatter, " ({remedy})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}: {self}", self.0.code, self.0.reason)?;
        let mut source = StdError::source(self);
        while let Some(cause) = source {
            write!(formatter, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
