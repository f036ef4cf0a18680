use dashcore::network::framing::{Command, FrameError};

use super::allowance::Exhausted;

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum DisconnectReason {
    /// This side closed it.
    #[error("closed by us")]
    Local,
    /// This side closed it to have a new one.
    #[error("closed in order to reconnect")]
    Renewed,
    /// The node closed it.
    #[error("closed by the peer")]
    Remote,
    /// Reading or writing failed.
    #[error("connection failed: {0}")]
    Io(std::io::ErrorKind),
    /// The stream broke the framing.
    #[error("{0}")]
    Framing(#[from] FrameError),
    /// A list came that nobody had asked for.
    #[error("sent an unrequested {0}")]
    Unasked(Command),
    /// More came unasked, repeated or broken than any honest node sends.
    #[error("sends too many unrequested messages")]
    Flood,
    /// A ping was not answered.
    #[error("silent: it did not answer a ping")]
    Silent,
    /// A message that had begun did not go on, or hardly.
    #[error("sends too slowly")]
    Slow,
    /// The node does not read what is sent to it.
    #[error("does not read what is sent to it")]
    Unread,
    /// Not even the first ping was answered within the handshake timeout.
    #[error("silent since the handshake")]
    Unproven,
    /// The stream, or what handles its messages, panicked.
    #[error("an internal failure ended the connection")]
    Panicked,
}

impl DisconnectReason {
    /// Whether the node did what no honest one does.
    pub(crate) const fn is_abuse(&self) -> bool {
        matches!(self, Self::Framing(_) | Self::Unasked(_) | Self::Flood)
    }

    /// Name as a metric label.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Renewed => "renewed",
            Self::Remote => "remote",
            Self::Io(_) => "io",
            Self::Framing(_) => "framing",
            Self::Unasked(_) => "unasked",
            Self::Flood => "flood",
            Self::Silent => "silent",
            Self::Slow => "slow",
            Self::Unread => "unread",
            Self::Unproven => "unproven",
            Self::Panicked => "panicked",
        }
    }
}

impl From<Exhausted> for DisconnectReason {
    fn from(Exhausted: Exhausted) -> Self {
        Self::Flood
    }
}
