package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// The channels of v5.channel.k8s.io: the first byte of each message.
const (
	execStdin = iota
	execStdout
	execStderr
	execStatus
	execClose = 255
)

// execServer is an API server in which every pod runs the same command: it echoes its standard input, says on its standard error
// in which container it runs, and ends with the exit code that is its argument. With the argument "hang" it says nothing at all.
func execServer(t *testing.T) (server *httptest.Server, asked chan []string) {
	t.Helper()
	asked = make(chan []string, 10)
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		asked <- append([]string{r.URL.Path}, query["command"]...)
		if strings.Contains(r.URL.Path, "/absent/") {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusNotFound)
			_ = json.NewEncoder(w).Encode(metav1.Status{Status: metav1.StatusFailure, Message: `pods "absent" not found`, Code: 404})
			return
		}
		upgrader := websocket.Upgrader{Subprotocols: []string{"v5.channel.k8s.io"}}
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			t.Errorf("upgrade: %v", err)
			return
		}
		defer conn.Close()
		argument := query["command"][1]
		send := func(channel byte, data string) {
			_ = conn.WriteMessage(websocket.BinaryMessage, append([]byte{channel}, data...)) // a client that is gone is no failure
		}
		for query.Get("stdin") == "true" || argument == "hang" {
			_, message, err := conn.ReadMessage()
			if err != nil {
				return
			}
			if message[0] == execClose && message[1] == execStdin {
				break
			}
			if message[0] == execStdin {
				send(execStdout, string(message[1:]))
			}
		}
		if query.Get("stderr") == "true" {
			send(execStderr, "in "+query.Get("container"))
		}
		status := metav1.Status{Status: metav1.StatusSuccess}
		if code, _ := strconv.Atoi(argument); code != 0 {
			status = metav1.Status{Status: metav1.StatusFailure, Reason: "NonZeroExitCode", Details: &metav1.StatusDetails{
				Causes: []metav1.StatusCause{{Type: "ExitCode", Message: argument}},
			}}
		}
		data, err := json.Marshal(status)
		if err != nil {
			t.Error(err)
		}
		send(execStatus, string(data))
		_ = conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""))
	}))
	t.Cleanup(server.Close)
	return server, asked
}

// connected is a client of a server, made like any other.
func connected(t *testing.T, server *httptest.Server) *Client {
	t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["test"] = &clientcmdapi.Cluster{Server: server.URL}
	config.Contexts["test"] = &clientcmdapi.Context{Cluster: "test"}
	config.CurrentContext = "test"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	client, _, err := Connect(path, "")
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestExec(t *testing.T) {
	for name, tt := range map[string]struct {
		stdin          io.Reader
		pod, argument  string
		stdout, stderr string
		code           int
		says           string
	}{
		"succeeds": {stdin: strings.NewReader("a line\n"), pod: "web-0", argument: "0", stdout: "a line\n", stderr: "in main"},
		"fails": {
			pod: "web-0", argument: "3", stderr: "in main", code: 3,
			says: "hook in pod demo/web-0, container main ended with exit code 3",
		},
		"there is no such pod": {pod: "absent", argument: "0", says: `run hook in pod demo/absent, container main: `},
	} {
		t.Run(name, func(t *testing.T) {
			server, asked := execServer(t)
			client := connected(t, server)
			var stdout, stderr bytes.Buffer
			err := client.Exec(t.Context(), ExecRequest{
				Namespace: "demo", Pod: tt.pod, Container: "main", Command: []string{"hook", tt.argument},
				Stdin: tt.stdin, Stdout: &stdout, Stderr: &stderr,
			})
			if stdout.String() != tt.stdout || stderr.String() != tt.stderr {
				t.Errorf("stdout %q, stderr %q", &stdout, &stderr)
			}
			if (err != nil) != (tt.says != "") || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want %q", err, tt.says)
			}
			var exit *ExitError
			if is := errors.As(err, &exit); is != (tt.code != 0) || is && exit.Code != tt.code {
				t.Errorf("error %#v, want exit code %d", err, tt.code)
			}
			want := []string{"/api/v1/namespaces/demo/pods/" + tt.pod + "/exec", "hook", tt.argument}
			if got := <-asked; !slices.Equal(got, want) {
				t.Errorf("asked for %q, want %q", got, want)
			}
			if tt.pod == "web-0" && len(asked) > 0 {
				t.Errorf("asked for %q again", <-asked)
			}
		})
	}
}

// TestExecEnds: Exec leaves a silent command when its context ends, with the context's cause as the error.
func TestExecEnds(t *testing.T) {
	server, asked := execServer(t)
	because := errors.New("because")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-asked
		cancel(because)
	}()
	stdin, writer := io.Pipe()
	defer writer.Close()
	err := connected(t, server).Exec(ctx, ExecRequest{Namespace: "demo", Pod: "web-0", Command: []string{"hook", "hang"}, Stdin: stdin})
	if !errors.Is(err, because) {
		t.Errorf("error %v", err)
	}
}

// TestExecCannot: Exec says what is missing before it sends a request.
func TestExecCannot(t *testing.T) {
	server, asked := execServer(t)
	for says, exec := range map[string]func() error{
		"there is none": func() error {
			return connected(t, server).Exec(t.Context(), ExecRequest{Namespace: "demo", Pod: "web-0"})
		},
		"this client has no connection": func() error {
			return new(Client).Exec(t.Context(), ExecRequest{Namespace: "demo", Pod: "web-0", Command: []string{"true"}})
		},
	} {
		if err := exec(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want %q", err, says)
		}
	}
	if len(asked) > 0 {
		t.Errorf("asked for %q", <-asked)
	}
}
