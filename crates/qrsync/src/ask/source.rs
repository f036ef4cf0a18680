use spv_integration::store::StoreError;

use super::open::open;
use super::service::Service;
use crate::answers::{Data, Question};
use crate::args::DataArgs;
use crate::exit::Usage;

/// What answers a question: a running service or the store.
pub(crate) enum Source {
    /// The file, which no other process uses.
    Store(Data),
    /// The process that uses the file.
    Service(Service),
}

impl Source {
    /// The service that `--connect` names; else the store in the data directory, or the service that uses it.
    ///
    /// # Errors
    /// When there is neither.
    pub(crate) async fn find(args: &DataArgs) -> anyhow::Result<Self> {
        if let Some(url) = &args.connect {
            return Ok(Self::Service(Service::at(url)?));
        }
        let error = match open(args) {
            Ok(client) => return Ok(Self::Store(Data::new(client, None))),
            Err(error) => error,
        };
        let path = match error.downcast_ref() {
            Some(StoreError::InUse { path }) => path.clone(),
            _ => return Err(error),
        };
        match Service::beside(&path).await {
            Some(service) => Ok(Self::Service(service)),
            // A process that answers nobody, such as a query that changes something.
            None => Err(error),
        }
    }

    /// The service that `--connect` names, or that uses the data directory.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) async fn service(args: &DataArgs) -> anyhow::Result<Service> {
        match Self::find(args).await? {
            Self::Service(service) => Ok(service),
            Self::Store(_) => {
                let what = "no service uses this data directory; start one with `qrsync sync --follow`, or name one \
                            with --connect";
                Err(Usage(what.to_owned()).into())
            }
        }
    }

    /// The answer to a question.
    ///
    /// # Errors
    /// A [`Problem`](crate::answers::Problem), or that the service cannot be reached.
    pub(crate) async fn ask<Q: Question>(&self, question: &Q) -> anyhow::Result<Q::Answer> {
        match self {
            Self::Store(data) => Ok(question.answer(data).await?),
            Self::Service(service) => service.ask(question).await,
        }
    }
}
