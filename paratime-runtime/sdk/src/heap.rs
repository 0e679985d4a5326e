//! The memory of one call: an arena in front of the general allocator.
//!
//! An instance lives for one call. What it frees is hardly worth reusing, but memory that it grows
//! costs gas, and the engine a change of its address space before and after. So a call that needs
//! no more than [`ARENA_BYTES`] never grows its memory; what does not fit any more comes from the
//! general allocator.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, UnsafeCell};

/// One page of WebAssembly.
const ARENA_BYTES: usize = 64 * 1024;

/// An allocator for one thread, which guests are.
#[repr(align(16))]
pub(crate) struct Heap {
    arena: UnsafeCell<[u8; ARENA_BYTES]>,
    /// From the beginning of the arena.
    used: Cell<usize>,
}

// SAFETY: a guest has one thread; code with threads is refused when it is uploaded.
#[cfg(target_arch = "wasm32")]
unsafe impl Sync for Heap {}

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static HEAP: Heap = Heap::new();

impl Heap {
    pub(crate) const fn new() -> Self {
        Self { arena: UnsafeCell::new([0; ARENA_BYTES]), used: Cell::new(0) }
    }

    fn base(&self) -> *mut u8 {
        self.arena.get().cast()
    }

    /// How far into the arena a block begins, if it is there.
    fn place(&self, block: *const u8) -> Option<usize> {
        let place = (block as usize).checked_sub(self.base() as usize)?;
        (place < ARENA_BYTES).then_some(place)
    }

    /// Whether a block is the newest of the arena, which may grow and shrink in its place.
    fn is_newest(&self, place: usize, size: usize) -> bool {
        place + size == self.used.get()
    }
}

// SAFETY: blocks of the arena lie between `used` before and after their allocation, so no two
// overlap, and begin at a multiple of their alignment. They stay until they are freed: `used` goes
// back over the newest block only. All others are the general allocator's, and go back to it.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let base = self.base() as usize;
        let place = (base + self.used.get()).next_multiple_of(layout.align()) - base;
        match place.checked_add(layout.size()) {
            // One of no bytes at the very end could not be told from others.
            Some(end) if end <= ARENA_BYTES && place < ARENA_BYTES => {
                self.used.set(end);
                // SAFETY: `place` lies inside the arena.
                unsafe { self.base().add(place) }
            }
            // SAFETY: the caller's promises on `layout` are those that `System` asks for.
            _ => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match self.place(block) {
            Some(place) if self.is_newest(place, layout.size()) => self.used.set(place),
            Some(_) => {}
            // SAFETY: it is not of the arena, so `System` gave it, with this layout.
            None => unsafe { System.dealloc(block, layout) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(place) = self.place(block) else {
            // SAFETY: it is not of the arena, so `System` gave it, with this layout.
            return unsafe { System.realloc(block, layout, size) };
        };
        if self.is_newest(place, layout.size()) && size <= ARENA_BYTES - place {
            self.used.set(place + size);
            return block;
        }
        if size <= layout.size() {
            return block;
        }
        // SAFETY: the caller promises that `size` fits the alignment.
        let larger = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: `larger` is not empty, as it is more than a block that is not.
        let moved = unsafe { self.alloc(larger) };
        if !moved.is_null() {
            // SAFETY: both are valid for the old size and do not overlap, as both are allocated.
            unsafe { std::ptr::copy_nonoverlapping(block, moved, layout.size()) };
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    /// Allocates, fills the block, and gives it.
    fn filled(heap: &Heap, layout: Layout, with: u8) -> *mut u8 {
        // SAFETY: the layouts here are not empty, and blocks are filled with what they hold.
        unsafe {
            let block = heap.alloc(layout);
            assert!(!block.is_null() && (block as usize).is_multiple_of(layout.align()));
            block.write_bytes(with, layout.size());
            block
        }
    }

    fn holds(block: *const u8, size: usize, what: u8) -> bool {
        // SAFETY: called with blocks that are allocated with this size and were filled.
        unsafe { std::slice::from_raw_parts(block, size) }.iter().all(|byte| *byte == what)
    }

    #[test]
    fn blocks_are_aligned_and_never_overlap_inside_the_arena_and_beyond() {
        let heap = Box::new(Heap::new());
        let layouts: Vec<Layout> =
            (0..200).map(|n| layout(1 + n * 13 % 997, 1 << (n % 5))).collect();
        let blocks: Vec<*mut u8> =
            layouts.iter().enumerate().map(|(n, one)| filled(&heap, *one, n as u8)).collect();
        let inside = blocks.iter().filter(|block| heap.place(**block).is_some()).count();
        assert!(inside > 50 && inside < 200, "{inside}");
        for (n, (block, one)) in blocks.iter().zip(&layouts).enumerate() {
            assert!(holds(*block, one.size(), n as u8), "block {n}");
        }
        for (block, one) in blocks.iter().zip(&layouts) {
            // SAFETY: allocated above with this layout.
            unsafe { heap.dealloc(*block, *one) };
        }
    }

    #[test]
    fn the_newest_block_grows_shrinks_and_goes_in_its_place() {
        let heap = Box::new(Heap::new());
        let (first, newest) = (filled(&heap, layout(10, 1), 1), filled(&heap, layout(10, 8), 2));
        // SAFETY: both are allocated with the layouts that are named.
        unsafe {
            assert_eq!(heap.realloc(newest, layout(10, 8), 5000), newest);
            assert_eq!(heap.realloc(newest, layout(5000, 8), 20), newest);
            assert!(holds(newest, 10, 2));
            heap.dealloc(newest, layout(20, 8));
            assert_eq!(filled(&heap, layout(16, 8), 3), newest);
            // One that is not the newest moves when it grows, and stays when it shrinks.
            assert_eq!(heap.realloc(first, layout(10, 1), 4), first);
            let moved = heap.realloc(first, layout(4, 1), 100);
            assert!(moved != first && holds(moved, 4, 1) && holds(newest, 16, 3));
        }
    }

    #[test]
    fn what_outgrows_the_arena_moves_out_and_is_whole() {
        let heap = Box::new(Heap::new());
        let block = filled(&heap, layout(ARENA_BYTES, 1), 7);
        assert_eq!(heap.place(block), Some(0));
        // SAFETY: allocated with the layouts that are named.
        unsafe {
            let moved = heap.realloc(block, layout(ARENA_BYTES, 1), ARENA_BYTES + 1);
            assert_eq!(heap.place(moved), None);
            assert!(holds(moved, ARENA_BYTES, 7));
            heap.dealloc(moved, layout(ARENA_BYTES + 1, 1));
        }
    }
}
