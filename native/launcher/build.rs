fn main() {
    caisson_seccomp::generate("vmm.seccomp.json");
    caisson_seccomp::generate_as("launcher.seccomp.json", "launcher");
    caisson_seccomp::generate_as("service.seccomp.json", "service");
    caisson_seccomp::generate_as("redis.seccomp.json", "redis");
}
