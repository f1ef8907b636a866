package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/test/bench/measure"
	"github.com/stsbackup/stsbackup/test/bench/report"
	"github.com/stsbackup/stsbackup/test/bench/tool"
)

const (
	// sharedMemory is a filesystem in memory.
	sharedMemory = "/dev/shm"
	// memoryNeeded is how much memory must be free for a comparison in memory, in bytes, and memoryNeededFull how much
	// for a million small files: for the data, its restored copy, three repositories and what the tools keep in caches.
	memoryNeeded     = 10 << 30
	memoryNeededFull = 20 << 30
)

// workplace is where to work unless an option says so. Large volumes do not fit into memory.
func workplace(large, full bool) string {
	least := uint64(memoryNeeded)
	if full {
		least = memoryNeededFull
	}
	if !large && available(sharedMemory) >= least && memory("MemAvailable") >= least {
		return sharedMemory
	}
	return os.TempDir()
}

// available returns the free bytes in the filesystem of a directory; 0 if it cannot find out.
func available(dir string) uint64 {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return 0
	}
	return stat.Bavail * uint64(stat.Bsize)
}

// memory reads a value of /proc/meminfo, in bytes; 0 if it cannot.
func memory(key string) uint64 {
	file, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0
	}
	defer file.Close()
	kib, _ := strconv.ParseUint(strings.TrimSuffix(lookUp(file, key), " kB"), 10, 64)
	return kib << 10
}

// lookUp returns the value of the first line "key: value"; "" if there is none.
func lookUp(from io.Reader, key string) string {
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		if strings.TrimSpace(name) == key {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// about describes the machine and the tools.
func (b *bench) about(ctx context.Context, tools []tool.Tool) (report.About, error) {
	about := report.About{
		Date:  b.started,
		Notes: []string{"The load average before the run was " + load() + "."},
		Machine: fmt.Sprintf("%d cores (%s), %d GiB of memory, Linux %s, data in %s",
			runtime.NumCPU(), processor(), (memory("MemTotal")+1<<29)>>30, kernel(), fileSystem(b.dir)),
	}
	for _, t := range tools {
		version, err := measure.Output(ctx, t.Version())
		if err != nil {
			return about, err
		}
		about.Tools, about.Versions = append(about.Tools, t.Name()), append(about.Versions, version)
	}
	return about, nil
}

// load returns how many processes wanted to run, on average over the last minute.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	average, _, _ := strings.Cut(string(text), " ")
	return average
}

func processor() string {
	file, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer file.Close()
	if name := lookUp(file, "model name"); name != "" {
		return name
	}
	return runtime.GOARCH
}

func kernel() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "of an unknown version"
	}
	return unix.ByteSliceToString(name.Release[:])
}

// fileSystem returns the type of the filesystem that holds a directory.
func fileSystem(dir string) string {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err == nil && stat.Type == unix.TMPFS_MAGIC {
		return "memory (tmpfs)"
	}
	return "a file system on disk"
}
