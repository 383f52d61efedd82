use core::fmt;

/// "ENOENT" for 2: what error messages of every part call an errno.
pub struct ErrnoName(pub i32);

impl fmt::Display for ErrnoName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        macro_rules! named {
            ($($name:ident)*) => {
                match self.0 {
                    $(libc::$name => formatter.write_str(stringify!($name)),)*
                    other => write!(formatter, "errno {other}"),
                }
            };
        }
        named! {
            EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK EBUSY EEXIST EXDEV ENODEV
            ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG
            ENOSYS ENOTEMPTY ELOOP ENODATA ETIME EOVERFLOW ELIBBAD EUSERS EOPNOTSUPP EADDRINUSE ECONNRESET ETIMEDOUT ECONNREFUSED
            EALREADY EPROTO ESTALE EDQUOT ECANCELED EUCLEAN
        }
    }
}
