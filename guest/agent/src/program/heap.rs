//! Pages from the kernel, parted by `dlmalloc`.
use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::null_mut;
use dlmalloc::{Allocator, Dlmalloc};
use rustix::mm::{MapFlags, MremapFlags, ProtFlags, mmap_anonymous, mremap, munmap};

const PAGE_BYTES: usize = 4096;

#[global_allocator]
static HEAP: Heap = Heap(UnsafeCell::new(Dlmalloc::new_with_allocator(Pages)));

struct Heap(UnsafeCell<Dlmalloc<Pages>>);

// SAFETY: the agent, and each process that it clones, has a single thread.
unsafe impl Sync for Heap {}

impl Heap {
    #[allow(clippy::mut_from_ref, reason = "it is what the cell is for")]
    fn get(&self) -> &mut Dlmalloc<Pages> {
        // SAFETY: there is one thread, and none of the calls below comes to another of them.
        unsafe { &mut *self.0.get() }
    }
}

// SAFETY: as `dlmalloc` promises; the callers' promises are passed on.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { self.get().malloc(layout.size(), layout.align()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { self.get().calloc(layout.size(), layout.align()) }
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { self.get().realloc(start, layout.size(), layout.align(), bytes) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { self.get().free(start, layout.size(), layout.align()) };
    }
}

struct Pages;

// SAFETY: mappings of this process alone, each where the kernel chose; what is given back is not used again.
unsafe impl Allocator for Pages {
    fn alloc(&self, bytes: usize) -> (*mut u8, usize, u32) {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses a place that nothing else has.
        match unsafe { mmap_anonymous(null_mut(), bytes, access, MapFlags::PRIVATE) } {
            Ok(start) => (start.cast(), bytes, 0),
            Err(_) => (null_mut(), 0, 0),
        }
    }

    fn remap(&self, start: *mut u8, old: usize, new: usize, may_move: bool) -> *mut u8 {
        let flags = if may_move {
            MremapFlags::MAYMOVE
        } else {
            MremapFlags::empty()
        };
        // SAFETY: `dlmalloc` names a mapping of its own.
        unsafe { mremap(start.cast(), old, new, flags) }.map_or(null_mut(), <*mut _>::cast)
    }

    fn free_part(&self, start: *mut u8, old: usize, new: usize) -> bool {
        // SAFETY: as above, and of it the part that nothing is in any more.
        unsafe { munmap(start.add(new).cast(), old - new) }.is_ok()
    }

    fn free(&self, start: *mut u8, bytes: usize) -> bool {
        // SAFETY: as above.
        unsafe { munmap(start.cast(), bytes) }.is_ok()
    }

    fn can_release_part(&self, _flags: u32) -> bool {
        true
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        PAGE_BYTES
    }
}
