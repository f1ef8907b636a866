package measure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/test/bench/tool"
)

// Usage is what one or several runs used.
type Usage struct {
	// Wall is the time from the start to the end, CPU the user and kernel time of all threads.
	Wall, CPU time.Duration
	// RSS is the peak of the resident memory, in bytes.
	RSS int64
	// Stored is how much the repository has grown, in bytes.
	Stored int64
}

// Add returns the usage of two consecutive runs.
func (u Usage) Add(v Usage) Usage {
	return Usage{Wall: u.Wall + v.Wall, CPU: u.CPU + v.CPU, RSS: max(u.RSS, v.RSS), Stored: u.Stored + v.Stored}
}

// grace is how long a program may take to end after it was asked to.
const grace = 5 * time.Second

// Run runs a command to its end. If sync names a directory, the time also includes writing everything in its filesystem
// to the disk, so that no tool is slower for being careful.
func Run(ctx context.Context, c tool.Command, now func() time.Time, sync string) (Usage, error) {
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = grace
	cmd.Dir = c.Dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, c.Env...)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	started := now()
	err := cmd.Run()
	if err == nil && sync != "" {
		err = Sync(sync)
	}
	usage := Usage{Wall: now().Sub(started)}
	if err != nil {
		return Usage{}, fmt.Errorf("run %s %s: %w\n%s", filepath.Base(c.Path), strings.Join(c.Args, " "), err, tail(output.Bytes()))
	}
	used, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return Usage{}, errors.New("this system does not tell what a process has used")
	}
	usage.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	usage.RSS = used.Maxrss << 10
	return usage, nil
}

// Output runs a command and returns the first line that it prints.
func Output(ctx context.Context, c tool.Command) (string, error) {
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	output, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("run %s %s: %w", filepath.Base(c.Path), strings.Join(c.Args, " "), err)
	}
	line, _, _ := strings.Cut(string(output), "\n")
	return strings.TrimSpace(line), nil
}

// tail is the end of a program's output.
func tail(output []byte) []byte { return output[max(0, len(output)-4000):] }

// Sync waits until everything written to the filesystem of a directory has reached the disk.
func Sync(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	defer file.Close()
	if err := unix.Syncfs(int(file.Fd())); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}

// Size is the total size of all files in a directory, in bytes; 0 if it does not exist.
func Size(dir string) (size int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("measure a directory: %w", err)
	}
	return size, nil
}
