fn main() {
    caisson_seccomp::generate("seccomp.json");
}
