fn main() {
    caisson_seccomp::generate("vmm.seccomp.json");
}
