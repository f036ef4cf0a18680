use dashcore::network::framing::Command;
use dashcore::network::message::command;
use serde::Serialize;

/// Kind of request; the closed set that metrics and estimates are kept by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RequestKind {
    /// `getheaders` or `getheaders2`
    GetHeaders,
    /// `getqrinfo`
    QrInfo,
    /// `getmnlistd`
    MnListDiff,
}

impl RequestKind {
    pub(crate) const ALL: [Self; 3] = [Self::GetHeaders, Self::QrInfo, Self::MnListDiff];

    /// Name as a metric label.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::GetHeaders => "getheaders",
            Self::QrInfo => "qrinfo",
            Self::MnListDiff => "mnlistdiff",
        }
    }

    /// The kind of request that a message answers.
    pub(crate) fn answered_by(name: Command) -> Option<Self> {
        match name {
            command::HEADERS | command::HEADERS2 => Some(Self::GetHeaders),
            command::QRINFO => Some(Self::QrInfo),
            command::MNLISTDIFF => Some(Self::MnListDiff),
            _ => None,
        }
    }
}
