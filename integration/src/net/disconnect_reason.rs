use dashcore::network::framing::FrameError;

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum DisconnectReason {
    /// This side closed it.
    #[error("closed by us")]
    Local,
    /// This side closed it to have a new one.
    #[error("to be connected anew")]
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
    /// A ping was not answered.
    #[error("silent")]
    Silent,
    /// The node does not read what is sent to it.
    #[error("does not read what is sent to it")]
    Unread,
    /// Not even the first ping was answered within the handshake timeout.
    #[error("silent since the handshake")]
    Unproven,
}
