package jetstreamtest_test

import (
	"encoding/binary"
	"syscall"
	"time"
	"unsafe"
)

const canSetClock = true

// skew is how far the clock of this process is ahead of the system's clock.
var skew time.Duration

func skewedNow() time.Time {
	var tv syscall.Timeval
	if err := syscall.Gettimeofday(&tv); err != nil {
		panic(err)
	}
	return time.Unix(tv.Sec, tv.Usec*1000).Add(skew)
}

// setClock moves the clock of this process ahead by d. No system call does that for a
// single process, so setClock replaces the code of time.Now with a jump to skewedNow.
func setClock(d time.Duration) {
	skew = d
	old, now := codeOf(time.Now), codeOf(skewedNow)
	jump := binary.LittleEndian.AppendUint64([]byte{0x49, 0xbb}, uint64(uintptr(now))) // mov r11, now
	jump = append(jump, 0x41, 0xff, 0xe3)                                              // jmp r11
	size := uintptr(syscall.Getpagesize())
	pages := unsafe.Slice((*byte)(unsafe.Add(old, -int(uintptr(old)%size))), 2*size)
	if err := syscall.Mprotect(pages, syscall.PROT_READ|syscall.PROT_WRITE|syscall.PROT_EXEC); err != nil {
		panic(err)
	}
	copy(unsafe.Slice((*byte)(old), len(jump)), jump)
	var tv syscall.Timeval
	if err := syscall.Gettimeofday(&tv); err != nil || (time.Since(time.Unix(tv.Unix()))-d).Abs() > time.Minute {
		panic("the clock was not set")
	}
}

// codeOf returns the address of the code of f: a function value points to a pointer to
// it.
func codeOf(f func() time.Time) unsafe.Pointer {
	return **(**unsafe.Pointer)(unsafe.Pointer(&f))
}
