//! One condition on an argument, as instructions. A filter sees words of 32 bits: an argument is compared in two steps where both matter.
use super::{ARGUMENTS, IF_ABOVE, IF_AT_LEAST, IF_EQUAL, Instruction, LOAD, MASK, branch, plain};
use alloc::vec::Vec;

/// Of an argument, all 64 bits of it.
#[derive(Clone, Debug)]
pub struct Condition {
    pub argument: u32,
    pub test: Test,
    /// False: the condition holds where the test does not.
    pub holds: bool,
}

#[derive(Clone, Debug)]
pub enum Test {
    /// These bits have these values; the others do not matter.
    Masked {
        mask: u64,
        value: u64,
    },
    AtLeast(u64),
    Above(u64),
}

impl Condition {
    pub fn is_met(&self, arguments: &[u64; 6]) -> bool {
        let argument = arguments[self.argument as usize];
        let test = match self.test {
            Test::Masked { mask, value } => argument & mask == value,
            Test::AtLeast(least) => argument >= least,
            Test::Above(bound) => argument > bound,
        };
        test == self.holds
    }

    /// Goes on behind its last instruction where it is met, and `miss` instructions further where it is not.
    pub fn instructions(&self, miss: usize) -> Vec<Instruction> {
        let steps = self.steps();
        let count = steps.len();
        let place = |(index, step): (usize, Step)| match step {
            Step::Plain(instruction) => instruction,
            Step::Branch(code, k, yes, no) => {
                let distance = |to: To| match (to, self.holds) {
                    (To::Next, _) => 0,
                    (To::Met, true) | (To::Missed, false) => count - index - 1,
                    (To::Met, false) | (To::Missed, true) => count - index - 1 + miss,
                };
                branch(code, k, distance(yes), distance(no))
            }
        };
        steps.into_iter().enumerate().map(place).collect()
    }

    fn steps(&self) -> Vec<Step> {
        match self.test {
            Test::Masked { mask, value } => self.masked(mask, value),
            Test::AtLeast(least) => self.ordered(IF_AT_LEAST, least),
            Test::Above(bound) => self.ordered(IF_ABOVE, bound),
        }
    }

    fn masked(&self, mask: u64, value: u64) -> Vec<Step> {
        let mut steps = Vec::new();
        if high(mask) != 0 || high(value) != 0 {
            steps.extend(self.load_high());
            steps.extend(masking(high(mask)));
            steps.push(Step::Branch(IF_EQUAL, high(value), To::Next, To::Missed));
        }
        steps.extend(self.load_low());
        steps.extend(masking(low(mask)));
        steps.push(Step::Branch(IF_EQUAL, low(value), To::Met, To::Missed));
        steps
    }

    fn ordered(&self, code: u32, bound: u64) -> Vec<Step> {
        let mut steps = Vec::from(self.load_high());
        steps.push(Step::Branch(IF_ABOVE, high(bound), To::Met, To::Next));
        steps.push(Step::Branch(IF_EQUAL, high(bound), To::Next, To::Missed));
        steps.extend(self.load_low());
        steps.push(Step::Branch(code, low(bound), To::Met, To::Missed));
        steps
    }

    fn load_low(&self) -> [Step; 1] {
        [Step::Plain(plain(LOAD, ARGUMENTS + 8 * self.argument))]
    }

    fn load_high(&self) -> [Step; 1] {
        [Step::Plain(plain(LOAD, ARGUMENTS + 8 * self.argument + 4))]
    }
}

enum Step {
    Plain(Instruction),
    Branch(u32, u32, To, To),
}

#[derive(Clone, Copy)]
enum To {
    Next,
    Met,
    Missed,
}

fn masking(mask: u32) -> Option<Step> {
    (mask != u32::MAX).then(|| Step::Plain(plain(MASK, mask)))
}

const fn high(value: u64) -> u32 {
    (value >> 32) as u32
}

const fn low(value: u64) -> u32 {
    value as u32
}
