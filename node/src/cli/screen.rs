//! The status of a local network: a screen on a terminal, lines in a file.

use std::io::{IsTerminal as _, Write};
use std::time::Duration;

use serde_json::json;

use crate::error::NodeError;

/// A node, as the screen shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) endpoint: String,
    pub(super) pid: Option<u32>,
    pub(super) ready: bool,
    pub(super) height: u64,
    pub(super) epoch: u64,
    pub(super) restarts: u32,
    pub(super) runtimes: Vec<String>,
}

/// How the status is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A JSON object a line, at every look.
    Json,
    /// A screen that is drawn anew at every look.
    Terminal,
    /// A file or a pipe: a line only where a node starts or ends, and one when all are up.
    Lines,
}

impl Kind {
    fn of(json: bool, terminal: bool) -> Self {
        match (json, terminal) {
            (true, _) => Self::Json,
            (false, true) => Self::Terminal,
            (false, false) => Self::Lines,
        }
    }
}

/// Where the status goes.
#[derive(Debug)]
pub(super) struct Screen {
    kind: Kind,
    /// What the lines have reported.
    reported: Vec<(String, bool, u32)>,
    reported_ready: bool,
}

impl Screen {
    /// On standard output.
    pub(super) fn new(json: bool) -> Self {
        Self::of(Kind::of(json, std::io::stdout().is_terminal()))
    }

    fn of(kind: Kind) -> Self {
        Self { kind, reported: Vec::new(), reported_ready: false }
    }

    /// Shows the status; `ready` says after how long all nodes were up.
    pub(super) fn show(&mut self, rows: &[Row], ready: Option<Duration>) -> Result<(), NodeError> {
        let text = self.text(rows, ready);
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())
            .and_then(|()| out.flush())
            .map_err(|e| NodeError::io("standard output", &e))
    }

    fn text(&mut self, rows: &[Row], ready: Option<Duration>) -> String {
        match self.kind {
            Kind::Json => json_line(rows, ready),
            Kind::Terminal => screen(rows, ready),
            Kind::Lines => self.news(rows, ready),
        }
    }

    fn news(&mut self, rows: &[Row], ready: Option<Duration>) -> String {
        let now: Vec<_> = rows.iter().map(|r| (r.name.clone(), r.ready, r.restarts)).collect();
        let mut lines = String::new();
        for (row, state) in rows.iter().zip(&now) {
            if !self.reported.contains(state) {
                let what = if row.ready { "up" } else { "starting" };
                let Row { name, endpoint, restarts, height, .. } = row;
                lines.push_str(&format!(
                    "{name} {what} at {endpoint}, height {height}, {restarts} restarts\n"
                ));
            }
        }
        self.reported = now;
        if let Some(after) = ready
            && !self.reported_ready
        {
            self.reported_ready = true;
            lines.push_str(&format!("all nodes are up after {:.1} s\n", after.as_secs_f64()));
        }
        lines
    }
}

fn json_line(rows: &[Row], ready: Option<Duration>) -> String {
    let nodes: Vec<_> = rows
        .iter()
        .map(|row| {
            json!({
                "name": row.name, "node": row.endpoint, "pid": row.pid, "ready": row.ready,
                "height": row.height, "epoch": row.epoch, "restarts": row.restarts,
                "runtimes": row.runtimes,
            })
        })
        .collect();
    format!(
        "{}\n",
        json!({ "nodes": nodes, "ready_after_seconds": ready.map(|r| r.as_secs_f64()) })
    )
}

fn screen(rows: &[Row], ready: Option<Duration>) -> String {
    let mut screen = String::from("\x1b[H\x1b[2J");
    screen.push_str(
        "a Paralith network on this machine   INSECURE: test keys, software enclaves\n\n",
    );
    screen.push_str(
        "node           height  epoch  restarts  service                  ParaTimes: round, part\n",
    );
    for row in rows {
        let state = if row.ready { "" } else { "  (starting)" };
        screen.push_str(&format!(
            "{:<14} {:>6} {:>6} {:>9}  {:<24} {}{state}\n",
            row.name,
            row.height,
            row.epoch,
            row.restarts,
            row.endpoint,
            row.runtimes.join(" · "),
        ));
    }
    match ready {
        Some(after) => screen.push_str(&format!(
            "\nall nodes are up after {:.1} s. Try: paralith runtime call counter add '{{\"amount\":1}}'\nCtrl-C stops all\n",
            after.as_secs_f64()
        )),
        None => screen.push_str("\nstarting …  Ctrl-C stops all\n"),
    }
    screen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ready: bool, height: u64, restarts: u32) -> Row {
        Row {
            name: "validator-0".to_string(),
            endpoint: "http://127.0.0.1:1".to_string(),
            pid: None,
            ready,
            height,
            epoch: 1,
            restarts,
            runtimes: Vec::new(),
        }
    }

    #[test]
    fn only_a_terminal_gets_a_screen() {
        for (json, terminal, kind) in [
            (false, true, Kind::Terminal),
            (false, false, Kind::Lines),
            (true, true, Kind::Json),
            (true, false, Kind::Json),
        ] {
            assert_eq!(Kind::of(json, terminal), kind);
        }
    }

    #[test]
    fn a_file_gets_a_line_for_each_change_and_no_more() {
        let mut file = Screen::of(Kind::Lines);
        assert_eq!(file.text(&[row(false, 0, 0)], None).lines().count(), 1);
        assert_eq!(file.text(&[row(false, 0, 0)], None), "");
        let up = file.text(&[row(true, 5, 0)], Some(Duration::from_secs(2)));
        assert_eq!(up.lines().count(), 2, "{up}");
        for height in 6..100 {
            assert_eq!(file.text(&[row(true, height, 0)], Some(Duration::from_secs(2))), "");
        }
        assert_eq!(
            file.text(&[row(true, 100, 1)], Some(Duration::from_secs(2))).lines().count(),
            1
        );
        assert!(!up.contains('\x1b'), "no control characters in a file");
    }

    #[test]
    fn a_terminal_is_drawn_at_every_look() {
        let mut terminal = Screen::of(Kind::Terminal);
        for _ in 0..2 {
            assert!(terminal.text(&[row(true, 5, 0)], None).starts_with("\x1b[H"));
        }
    }
}
