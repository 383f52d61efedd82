//! The program around the library: with its own start, heap and memory functions instead of a C library's. That one asks the processor what it
//! can, by some 80 CPUID instructions, each of which a virtual machine leaves to its host: it took ten times as long as all the rest of an
//! agent's start.
#![no_std]
#![no_main]

extern crate alloc;

mod heap;
mod memory;
mod panic;
mod start;
