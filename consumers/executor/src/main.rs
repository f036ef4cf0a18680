//! Words to translate, and dictionaries that are asked for them.

use std::convert::Infallible;

use spv_executor::{Config, Depth, Executor, Transport};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Dictionary {
    Old,
    New,
}

struct Word(&'static str);

struct Translation(String);

struct Library;

impl Transport for Library {
    type Peer = Dictionary;
    type Request = Word;
    type Response = Translation;
    type Error = Infallible;

    async fn send(&self, dictionary: &Dictionary, word: Word) -> Result<Translation, Infallible> {
        tokio::task::yield_now().await;
        Ok(Translation(format!("{} ({dictionary:?})", word.0.to_uppercase())))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let executor = Executor::new(Library, Config::default())?;
    executor.add_peer(Dictionary::Old, Depth::ONE);
    executor.add_peer(Dictionary::New, Depth::THREE);
    let words = ["sun", "moon", "star", "cloud", "rain"];

    let results = executor.run(words.map(Word).into()).await;
    assert_eq!(results.len(), words.len());
    for (word, result) in words.iter().zip(results) {
        let translated = result?;
        let Translation(text) = &translated.response;
        assert!(text.starts_with(&word.to_uppercase()), "{text} is out of order");
        translated.permit.accept();
    }
    executor.close().await;
    println!("executor: {} words, in order", words.len());
    Ok(())
}
