package main

import (
	"runtime"
	"syscall"
	"time"
)

// cost is what operations cost: wall time, CPU time of this process (user and system,
// without servers), and allocations.
type cost struct {
	ops         int
	wall, cpu   time.Duration
	allocs, mem uint64
	tries       int // attempts, if a job counts them
}

// timed adds the cost of f, which does ops operations.
func (c *cost) timed(ops int, f func() error) error {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu, began := processor(), time.Now()
	err := f()
	c.wall += time.Since(began)
	c.cpu += processor() - cpu
	runtime.ReadMemStats(&after)
	c.ops += ops
	c.allocs += after.Mallocs - before.Mallocs
	c.mem += after.TotalAlloc - before.TotalAlloc
	return err
}

// processor returns the CPU time of the threads of this process.
func processor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic("getrusage: " + err.Error()) // it fails only for a wrong argument
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// per is the cost of one operation.
type per struct{ wall, cpu, allocs, mem float64 } // nanoseconds, nanoseconds, count, bytes

func (c *cost) per() per {
	n := float64(c.ops)
	return per{float64(c.wall) / n, float64(c.cpu) / n, float64(c.allocs) / n, float64(c.mem) / n}
}
