//! A conversation with one peer that answers, refuses, repeats itself and answers late.
//!
//! Run with `cargo run -p spv-correlation --example fences`.
#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use spv_correlation::{Config, Correlator, Delivery, Expectation};

/// Asks for everything between two heights.
struct GetRange {
    from: u32,
    to: u32,
}

/// Echoes only where the range ends.
struct Range {
    to: u32,
}

impl Expectation for GetRange {
    type Response = Range;
    type Content = u32;
    type Key = u32;

    fn content(range: &Range) -> u32 {
        range.to
    }

    fn accepts(&self, to: &u32) -> bool {
        self.to == *to
    }

    fn key(&self) -> u32 {
        self.to
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let connection = Correlator::new(&Config::default(), 1)?;

    // Content cannot tell these two apart; their place in the stream can.
    let (first, first_fence) = connection.register(GetRange { from: 0, to: 100 })?;
    let (second, second_fence) = connection.register(GetRange { from: 50, to: 100 })?;
    println!("fence without an answer: {:?}", connection.on_fence(first_fence));
    println!("answer: {}", describe(&connection.on_response(Range { to: 100 })));
    println!("the same again: {}", describe(&connection.on_response(Range { to: 100 })));
    println!("fence behind it: {:?}", connection.on_fence(second_fence));
    println!("first: {:?}", first.await.map(|answer| answer.response.to));
    println!("second: {:?}", second.await.map(|answer| answer.response.to));

    let (third, third_fence) = connection.register(GetRange { from: 100, to: 200 })?;
    drop(third);
    println!("answer to an abandoned request: {}", describe(&connection.on_response(Range { to: 200 })));
    println!("its fence: {:?}", connection.on_fence(third_fence));

    let (fourth, fourth_fence) = connection.register(GetRange { from: 200, to: 300 })?;
    println!("fence without an answer: {:?}", connection.on_fence(fourth_fence));
    println!("fourth: {:?}", fourth.await.map(|answer| answer.response.to));
    println!("answer behind its fence: {}", describe(&connection.on_response(Range { to: 300 })));
    println!("does the peer keep order? {}", connection.is_fenced());

    let (fifth, _) = connection.register(GetRange { from: 300, to: 400 })?;
    let same = connection.register(GetRange { from: 350, to: 400 });
    println!("same key, no order: {}", same.err().map_or_else(String::new, |error| error.to_string()));
    connection.close();
    println!("fifth: {:?}", fifth.await.map(|answer| answer.response.to));

    let asked = GetRange { from: 300, to: 400 };
    println!("{}..{} would have to be asked elsewhere", asked.from, asked.to);
    Ok(())
}

fn describe(delivery: &Delivery<Range>) -> String {
    match delivery {
        Delivery::Delivered(id) => format!("delivered to {id}"),
        Delivery::Held => "held until its fence".to_owned(),
        Delivery::Undelivered { verdict, response } => format!("{} (to {})", verdict.kind(), response.to),
    }
}
