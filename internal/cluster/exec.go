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

// ExecRequest is a command that is to be run in a container of a pod.
type ExecRequest struct {
	Namespace, Pod string
	// Container is empty for the pod's default one.
	Container string
	// Command is the program and its arguments; no shell is between.
	Command []string
	// Stdin is copied to the command, which sees its end. Stdout and Stderr are written to, by one goroutine each. Nil is nothing.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// where is the container, for a person.
func (r *ExecRequest) where() string {
	where := "pod " + r.Namespace + "/" + r.Pod
	if r.Container != "" {
		where += ", container " + r.Container
	}
	return where
}

// ExitError says that a command has run to its end, and has failed.
type ExitError struct {
	// Program is the first word of the command, Where the container that it ran in.
	Program, Where string
	// Code is its exit status.
	Code int
}

// Error says so in words.
func (e *ExitError) Error() string {
	return fmt.Sprintf("%s in %s ended with exit code %d", e.Program, e.Where, e.Code)
}

// Exec runs a command in a container of a pod, and returns when it has ended; nothing is read or written after that. The error
// is an *ExitError if the command failed. Any other says that it is not known whether the command has run, or runs still:
// when ctx ends, the connection does, and the command sees the end of its standard input. A command that may have begun is not
// tried again. Under a Lease it begins only while that is believed in.
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

// executorOf connects to the containers of a cluster: by a websocket, or where the API server does not know that yet, or a proxy
// does not let it through, by SPDY. The config has no fence: that repeats reads, as which it would see such a connection.
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

// errExecEnded is what goroutines find that write what a command says beyond its end.
var errExecEnded = errors.New("the command has ended")

// until keeps the streams of a command from being used when that is over: a connection that was broken off leaves goroutines, which
// end a moment later.
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

// Write writes, as long as it may.
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

// Read begins no read when the command is over. One that has begun may take until there is something to read.
func (r untilReader) Read(p []byte) (int, error) {
	r.mutex.RLock()
	ended := r.ended
	r.mutex.RUnlock()
	if ended {
		return 0, io.EOF
	}
	return r.next.Read(p)
}
