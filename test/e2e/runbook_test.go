//go:build e2e

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/test/harness"
)

// TestRunbook types every command of docs/restore.md, word for word except for names, in the situation for which it is
// meant. Each block of commands names its situation in a comment; a command within the text, or in a table, must also
// be a line of a block.
func TestRunbook(t *testing.T) {
	commands := runbookCommands(t)
	scenes := runbookScenes()
	known := map[string]bool{}
	for _, scene := range scenes {
		for _, situation := range scene.situations {
			if known[situation] || commands[situation] == nil {
				t.Errorf("situation %q of scene %s is in another scene too, or not in docs/restore.md", situation, scene.name)
			}
			known[situation] = true
		}
	}
	for situation, lines := range commands {
		if !known[situation] {
			t.Errorf("nothing runs what docs/restore.md says of situation %q:\n%s", situation, strings.Join(lines, "\n"))
		}
	}
	if t.Failed() {
		return
	}
	for _, scene := range scenes {
		t.Run(scene.name, func(t *testing.T) {
			t.Parallel()
			b := &runbook{scenario: newScenario(t, "runbook-"+scene.name), commands: commands, played: map[string]bool{}, replicas: 2}
			b.programs()
			scene.play(b)
			for _, situation := range scene.situations {
				if !b.played[situation] {
					t.Errorf("the scene has not played situation %q", situation)
				}
			}
			if len(b.played) != len(scene.situations) {
				t.Errorf("the scene has played %d situations, and is for %d", len(b.played), len(scene.situations))
			}
		})
	}
}

// runbookCommands reads the commands of docs/restore.md, by situation.
func runbookCommands(t *testing.T) map[string][]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "restore.md"))
	if err != nil {
		t.Fatal(err)
	}
	commands, all := map[string][]string{}, []string{}
	comment := regexp.MustCompile(`\s+# .*$`)
	blocks := regexp.MustCompile("(?ms)^(?:<!-- situation: (\\S+) -->\n)?```(\\w*)\n(.*?)^```$")
	for _, match := range blocks.FindAllStringSubmatch(string(data), -1) {
		situation, language, text := match[1], match[2], match[3]
		if situation == "" || language != "sh" || commands[situation] != nil {
			t.Errorf("a block of docs/restore.md has no situation of its own, or is no sh:\n%s", text)
			continue
		}
		for line := range strings.Lines(text) {
			commands[situation] = append(commands[situation], comment.ReplaceAllString(strings.TrimSuffix(line, "\n"), ""))
		}
		all = append(all, commands[situation]...)
	}
	rest := blocks.ReplaceAllString(string(data), "")
	inline := regexp.MustCompile("`((?:stsbackup|kubectl|argocd|flux|find)\\s[^`]+)`").FindAllStringSubmatch(rest, -1)
	for _, match := range inline {
		if command := strings.Join(strings.Fields(match[1]), " "); !slices.Contains(all, command) {
			t.Errorf("no block of docs/restore.md has the command %q, which its text names", command)
		}
	}
	if len(commands) < 25 || len(inline) < 25 {
		t.Errorf("docs/restore.md has %d blocks and %d commands in its text", len(commands), len(inline))
	}
	return commands
}

// scene is a StatefulSet to which things happen.
type scene struct {
	name string
	// situations are those situations of docs/restore.md that it plays.
	situations []string
	play       func(*runbook)
}

// runbook is a scene with a reader of docs/restore.md.
type runbook struct {
	*scenario
	commands map[string][]string
	played   map[string]bool
	replicas int
}

// outcome is what a command must do.
type outcome struct {
	code int
	says []string
	// types is what the person answers; "" is yes.
	types string
	// then, if set, checks the result before the next command.
	then func()
}

// programs makes a folder bin with stsbackup, which runs with its own rights, and kubectl, which is the
// administrator's.
func (b *runbook) programs() {
	b.t.Helper()
	bin := filepath.Join(b.Dir, "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		b.t.Fatal(err)
	}
	for name, script := range map[string]string{
		"stsbackup": fmt.Sprintf("exec '%s'", b.Stsbackup),
		"kubectl":   fmt.Sprintf("KUBECONFIG='%s' exec '%s'", b.Kubeconfig, b.Env.Kubectl),
	} {
		if err := os.WriteFile(
			filepath.Join(bin, name),
			[]byte("#!/bin/sh\n"+script+" \"$@\"\n"),
			0o700,
		); err != nil { //nolint:gosec // a program
			b.t.Fatal(err)
		}
	}
}

// follow types the commands of a situation, with fill for what the text leaves to its reader. The outcomes are those of
// the commands in order; commands without an outcome must succeed.
func (b *runbook) follow(situation string, fill []string, outcomes ...outcome) {
	b.t.Helper()
	lines := b.commands[situation]
	if len(outcomes) > len(lines) {
		b.t.Fatalf("situation %s has %d commands, and %d outcomes are known", situation, len(lines), len(outcomes))
	}
	b.played[situation] = true
	names := strings.NewReplacer(
		append(fill, "demo/web", b.Namespace+"/web", "-n demo", "-n "+b.Namespace, "namespace demo", "namespace "+b.Namespace,
			"-n argocd", "-n "+b.Namespace, "-n flux-system", "-n "+b.Namespace)...)
	for i, line := range lines {
		want := outcome{}
		if i < len(outcomes) {
			want = outcomes[i]
		}
		result := b.atTerminal(names.Replace(line), want.types)
		if result.Code != want.code {
			b.t.Fatalf("situation %s: exit code %d, want %d:\n%s", situation, result.Code, want.code, result)
		}
		for _, text := range want.says {
			if !strings.Contains(result.Stdout+result.Stderr, text) {
				b.t.Fatalf("situation %s: %q is not in the output:\n%s", situation, text, result)
			}
		}
		if want.then != nil {
			want.then()
		}
	}
}

// atTerminal runs a command line for a person at a terminal, who answers. What a program prints goes to a file all the
// same.
func (b *runbook) atTerminal(line, types string) harness.Result {
	b.t.Helper()
	begun := time.Now()
	keyboard, screen := b.terminal()
	defer keyboard.Close()
	if types == "" {
		types = "yes\n"
	}
	if _, err := keyboard.WriteString(types); err != nil {
		b.t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(b.ctx, "sh", "-e", "-c", line)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = b.Dir, screen, &stdout, screen
	cmd.Env = append(append(os.Environ(), b.Environ()...), "PATH="+filepath.Join(b.Dir, "bin")+":"+os.Getenv("PATH"))
	if strings.HasPrefix(line, "stsbackup volume ") {
		cmd.Env = append(cmd.Env, "KUBECONFIG="+os.DevNull)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	err := cmd.Start()
	screen.Close() //nolint:errcheck // the command has it
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := io.Copy(&stderr, keyboard); err != nil && !errors.Is(err, syscall.EIO) { // EIO says that nobody has the terminal any more
		b.t.Fatal(err)
	}
	_ = cmd.Wait() // its exit code says it
	result := harness.Result{Args: []string{line}, Code: cmd.ProcessState.ExitCode(), Stdout: stdout.String(), Stderr: stderr.String()}
	b.t.Logf("%s: exit code %d after %s", line, result.Code, time.Since(begun).Round(time.Second))
	if b.Seen != nil {
		b.Seen(result)
	}
	if b.ctx.Err() != nil {
		b.t.Fatalf("it took too long:\n%s", result)
	}
	return result
}

// terminal opens a new terminal: what is written to keyboard is typed, and screen reads what it shows.
func (b *runbook) terminal() (keyboard, screen *os.File) {
	b.t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	fd := int(keyboard.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err != nil {
		b.t.Fatalf("open a terminal: %v", err)
	}
	return keyboard, screen
}
