//! The real binary as the first process of real namespaces, spoken to as the worker does. Needs root and busybox-static.
mod attacks;
mod figures;
mod host;
mod images;
mod narrow;
mod outcomes;
mod probe;
mod protocol;
mod sandbox;
mod streams;
