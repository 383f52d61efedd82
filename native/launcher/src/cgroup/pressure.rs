//! `some avg10=0.00 avg60=0.00 avg300=0.00 total=4242`, and a line of `full`.
use caisson_frame::launch::Stall;

pub fn parse(text: &str) -> Option<Stall> {
    let total = |kind: &str| {
        let mut lines = text.lines();
        lines.find_map(|line| line.strip_prefix(kind)?.rsplit_once(" total=")?.1.trim().parse().ok())
    };
    Some(Stall {
        some_us: total("some")?,
        full_us: total("full"),
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn totals_are_taken_and_what_is_not_there_is_absent() {
        let some = "some avg10=1.25 avg60=0.71 avg300=0.89 total=663256447\n";
        let stall = parse(&format!("{some}full avg10=0.00 avg60=0.00 avg300=0.00 total=17\n")).expect("a stall");
        assert_eq!((stall.some_us, stall.full_us), (663_256_447, Some(17)));
        assert_eq!(parse(some).expect("a stall").full_us, None);
        assert_eq!(parse(""), None);
    }
}
