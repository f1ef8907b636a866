package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"
	"k8s.io/streaming/pkg/httpstream"
)

// ExecRequest is a command to run in a container of a pod.
type ExecRequest struct {
	Namespace, Pod string
	// Container is the container's name; empty for the pod's default container.
	Container string
	// Command is the program and its arguments; no shell interprets them.
	Command []string
	// Stdin is copied to the command, which sees its end. Stdout and Stderr are each written by one goroutine. Each may be nil.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// where names the container, for messages.
func (r *ExecRequest) where() string {
	where := "pod " + r.Namespace + "/" + r.Pod
	if r.Container != "" {
		where += ", container " + r.Container
	}
	return where
}

// ExitError says that a command ran to its end, and failed.
type ExitError struct {
	// Program is the first word of the command, Where the container in which it ran.
	Program, Where string
	// Code is the command's exit status.
	Code int
}

// Error says in words which command failed, and where.
func (e *ExitError) Error() string {
	return fmt.Sprintf("%s in %s ended with exit code %d", e.Program, e.Where, e.Code)
}

// Exec runs a command in a container of a pod, and returns when the command has ended; it reads and writes nothing
// after that. The error is an *ExitError if the command failed. After any other error, nobody knows whether the command
// has run, or still runs: when ctx ends, the connection ends, and the command sees the end of its standard input. Exec
// does not retry a command that may have begun. Under a Lease, the command begins only while the Lease is believed in.
func (c *Client) Exec(ctx context.Context, request ExecRequest) error {
	if c.Executor == nil {
		return fmt.Errorf("run a command in %s: this client has no connection for that", request.where())
	}
	if len(request.Command) == 0 {
		return fmt.Errorf("run a command in %s: there is none", request.where())
	}
	program := request.Command[0]
	if lease := leaseIn(ctx); lease != nil {
		if err := lease.awaitBelief(ctx); err != nil {
			return fmt.Errorf("run %s in %s: %w", program, request.where(), err)
		}
	}
	executor, err := c.Executor(request)
	if err != nil {
		return fmt.Errorf("run %s in %s: %w", program, request.where(), err)
	}
	until := &until{}
	defer until.end()
	err = executor.StreamWithContext(ctx, remotecommand.StreamOptions{
		Stdin: until.reader(request.Stdin), Stdout: until.writer(request.Stdout), Stderr: until.writer(request.Stderr),
	})
	var failed exec.CodeExitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &failed):
		return &ExitError{Program: program, Where: request.where(), Code: failed.Code}
	case ctx.Err() != nil:
		return fmt.Errorf("run %s in %s: %w", program, request.where(), context.Cause(ctx))
	default:
		return fmt.Errorf("run %s in %s: %w", program, request.where(), err)
	}
}

// executorOf connects to the containers of a cluster: by a websocket, or by SPDY if the API server does not support that
// yet, or a proxy blocks it. The config has no fence: a fence retries reads, and it would take such a connection for one.
func executorOf(config *rest.Config, kube kubernetes.Interface) func(ExecRequest) (remotecommand.Executor, error) {
	return func(r ExecRequest) (remotecommand.Executor, error) {
		url := kube.CoreV1().RESTClient().Post().Resource("pods").Namespace(r.Namespace).Name(r.Pod).SubResource("exec").
			VersionedParams(&corev1.PodExecOptions{
				Container: r.Container, Command: r.Command, Stdin: r.Stdin != nil, Stdout: r.Stdout != nil, Stderr: r.Stderr != nil,
			}, scheme.ParameterCodec).URL()
		websocket, err := remotecommand.NewWebSocketExecutor(config, "GET", url.String())
		if err != nil {
			return nil, err
		}
		spdy, err := remotecommand.NewSPDYExecutor(config, "POST", url)
		if err != nil {
			return nil, err
		}
		return remotecommand.NewFallbackExecutor(websocket, spdy, func(err error) bool {
			return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
		})
	}
}

// errExecEnded is the error for goroutines that write a command's output after the command has ended.
var errExecEnded = errors.New("the command has ended")

// until stops the use of a command's streams once the command is over: a broken connection leaves goroutines
// behind, which end a moment later.
type until struct {
	mutex sync.RWMutex
	ended bool
}

func (u *until) end() {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	u.ended = true
}

func (u *until) writer(w io.Writer) io.Writer {
	if w == nil {
		return nil
	}
	return untilWriter{u, w}
}

func (u *until) reader(r io.Reader) io.Reader {
	if r == nil {
		return nil
	}
	return untilReader{u, r}
}

type untilWriter struct {
	*until
	next io.Writer
}

// Write writes while the command is not over.
func (w untilWriter) Write(p []byte) (int, error) {
	w.mutex.RLock()
	defer w.mutex.RUnlock()
	if w.ended {
		return 0, errExecEnded
	}
	return w.next.Write(p)
}

type untilReader struct {
	*until
	next io.Reader
}

// Read begins no read when the command is over. A read that has begun may block until there is something to read.
func (r untilReader) Read(p []byte) (int, error) {
	r.mutex.RLock()
	ended := r.ended
	r.mutex.RUnlock()
	if ended {
		return 0, io.EOF
	}
	return r.next.Read(p)
}
