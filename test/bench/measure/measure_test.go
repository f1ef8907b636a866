package measure_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/test/bench/measure"
	"github.com/stsbackup/stsbackup/test/bench/tool"
)

func write(t *testing.T, content string, path ...string) {
	t.Helper()
	name := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	usage, err := measure.Run(t.Context(), tool.Command{
		Path: "/bin/sh",
		Args: []string{"-c", `i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo $NAME >file`},
		Env:  []string{"NAME=x"},
		Dir:  dir,
	}, time.Now, dir)
	if err != nil {
		t.Fatal(err)
	}
	if usage.Wall <= 0 || usage.CPU <= 0 || usage.RSS < 100<<10 {
		t.Errorf("used %+v", usage)
	}
	if size, err := measure.Size(dir); err != nil || size != 2 {
		t.Errorf("wrote %d bytes (%v)", size, err)
	}
}

func TestRunTellsWhatFailed(t *testing.T) {
	_, err := measure.Run(t.Context(), tool.Command{Path: "/bin/sh", Args: []string{"-c", "echo no such luck >&2; exit 3"}}, time.Now, "")
	if err == nil || !strings.Contains(err.Error(), "no such luck") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("error %v", err)
	}
}

func TestAdd(t *testing.T) {
	got := measure.Usage{Wall: 1, CPU: 2, RSS: 30, Stored: 4}.Add(measure.Usage{Wall: 10, CPU: 20, RSS: 3, Stored: 40})
	if want := (measure.Usage{Wall: 11, CPU: 22, RSS: 30, Stored: 44}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestSizeOfNothing(t *testing.T) {
	if size, err := measure.Size(filepath.Join(t.TempDir(), "none")); err != nil || size != 0 {
		t.Errorf("size %d (%v)", size, err)
	}
}

func TestSame(t *testing.T) {
	long := strings.Repeat("0123456789", 60_000)
	for name, test := range map[string]struct {
		change func(t *testing.T, dir string)
		want   string // of the error; "" means none
	}{
		"equal":     {func(*testing.T, string) {}, ""},
		"one byte":  {func(t *testing.T, dir string) { write(t, long[1:]+"x", dir, "sub", "long") }, "differs"},
		"shorter":   {func(t *testing.T, dir string) { write(t, long[:300_000], dir, "sub", "long") }, "differs"},
		"longer":    {func(t *testing.T, dir string) { write(t, "short.", dir, "short") }, "differs"},
		"lost":      {func(t *testing.T, dir string) { _ = os.Remove(filepath.Join(dir, "short")) }, "no such file"},
		"one extra": {func(t *testing.T, dir string) { write(t, "", dir, "more") }, "3 files instead of 2"},
	} {
		t.Run(name, func(t *testing.T) {
			dirs := []string{t.TempDir(), t.TempDir()}
			for _, dir := range dirs {
				write(t, long, dir, "sub", "long")
				write(t, "short", dir, "short")
			}
			test.change(t, dirs[1])
			switch err := measure.Same(dirs[0], dirs[1]); {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error %v", err)
			}
		})
	}
}
