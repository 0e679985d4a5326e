//! Numbers and how they are told.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Tells a result: the facts as a line of JSON, the text for people.
pub(crate) fn tell(bench: &str, text: &str, facts: Value) {
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    eprintln!("{bench} ({profile}): {text}");
    println!("{}", json!({ "bench": bench, "profile": profile, "facts": facts }));
}

/// Durations of one piece of work.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    /// Does the work and notes how long it took.
    pub(crate) fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let result = work();
        self.add(began.elapsed());
        result
    }

    pub(crate) fn add(&mut self, duration: Duration) {
        self.0.push(duration.as_secs_f64());
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Seconds that this share of the samples (0 to 1) does not exceed; 0 without samples.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        let place = (last as f64 * share).ceil() as usize;
        sorted.get(place.min(last)).copied().unwrap_or(0.0)
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    pub(crate) fn max(&self) -> f64 {
        self.quantile(1.0)
    }
}

/// Two digits after the point.
pub(crate) fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
