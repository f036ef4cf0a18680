//! A client's connection: the place where a protocol meets spv-correlation.

use std::io;
use std::net::SocketAddr;

use spv_correlation::{
    Config, ConfigError, CorrelationError, Correlator, Delivery, Expectation, FenceVerdict, RegisterError,
};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Mutex;

pub struct Connection {
    correlator: Correlator<Get>,
    writer: Mutex<OwnedWriteHalf>,
}

#[derive(Debug, thiserror::Error)]
pub enum GetError {
    #[error("no connection to this server")]
    NotConnected,
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Register(#[from] RegisterError),
    #[error(transparent)]
    Ended(#[from] CorrelationError),
}

impl Connection {
    pub async fn open(address: SocketAddr, seed: u64) -> Result<Self, GetError> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        let correlator = Correlator::new(&Config::default(), seed)?;
        tokio::spawn(read(reader, correlator.clone()));
        Ok(Self { correlator, writer: Mutex::new(writer) })
    }

    /// The value, or `None` if the server does not have the key.
    pub async fn get(&self, key: String) -> Result<Option<String>, GetError> {
        let ticket = {
            // Registered and written under one lock, so that both have the same order.
            let mut writer = self.writer.lock().await;
            let (ticket, fence) = self.correlator.register(Get(key.clone()))?;
            writer.write_all(format!("GET {key}\nPING {fence}\n").as_bytes()).await?;
            ticket
        };
        match ticket.await {
            Ok(answer) => Ok(Some(answer.response.value)),
            Err(CorrelationError::Refused { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Tells the correlator what arrives.
async fn read(reader: OwnedReadHalf, correlator: Correlator<Get>) {
    let mut lines = BufReader::new(reader).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["VALUE", key, value] => {
                let value = Value { key: key.to_owned(), value: value.to_owned() };
                if let Delivery::Undelivered { response, verdict } = correlator.on_response(value) {
                    eprintln!("{} was {}", response.key, verdict.kind());
                }
            }
            ["PONG", nonce] => {
                let Ok(nonce) = nonce.parse() else { break };
                if correlator.on_fence(nonce) == FenceVerdict::Unknown {
                    break; // Nobody sent that ping.
                }
            }
            _ => break,
        }
    }
    correlator.close();
}

struct Get(String);

struct Value {
    key: String,
    value: String,
}

impl Expectation for Get {
    type Response = Value;
    type Content = String;
    type Key = String;

    fn content(value: &Value) -> String {
        value.key.clone()
    }

    fn accepts(&self, key: &String) -> bool {
        self.0 == *key
    }

    fn key(&self) -> String {
        self.0.clone()
    }
}
