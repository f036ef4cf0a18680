//! A weather station that is asked for days, and says nothing about those it did not record.

use spv_correlation::{Config, CorrelationError, Correlator, Delivery, Expectation, FenceVerdict};

struct Day(u16);

struct Weather {
    day: u16,
    degrees: i8,
}

impl Expectation for Day {
    type Response = Weather;
    type Content = u16;
    type Key = u16;

    fn content(weather: &Weather) -> u16 {
        weather.day
    }

    fn accepts(&self, day: &u16) -> bool {
        self.0 == *day
    }

    fn key(&self) -> u16 {
        self.0
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let station = Correlator::new(&Config::default(), 1)?;
    let (monday, after_monday) = station.register(Day(1))?;
    let (tuesday, after_tuesday) = station.register(Day(2))?;

    // What a connection would read: nothing about Monday.
    assert!(matches!(station.on_fence(after_monday), FenceVerdict::Refused(_)));
    let delivery = station.on_response(Weather { day: 2, degrees: -3 });
    assert!(matches!(delivery, Delivery::Delivered(_)));
    assert!(matches!(station.on_fence(after_tuesday), FenceVerdict::Answered { .. }));

    assert!(matches!(monday.await, Err(CorrelationError::Refused { .. })));
    assert_eq!(tuesday.await?.response.degrees, -3);
    println!("correlation: nothing was recorded on Monday, and that is known at once");
    Ok(())
}
