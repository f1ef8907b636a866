package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// kubeletLog is a container's log as the kubelet keeps it.
type kubeletLog struct {
	lines []loggedLine
}

type loggedLine struct {
	at   time.Time
	text string
}

// text is the answer to a request for the log; if cut is not negative, only its first cut bytes.
func (k *kubeletLog) text(options corev1.PodLogOptions, cut int) string {
	var text strings.Builder
	lines := k.lines
	if options.TailLines != nil {
		lines = lines[max(0, len(lines)-int(*options.TailLines)):]
	}
	for _, line := range lines {
		if options.SinceTime != nil && line.at.Before(options.SinceTime.Truncate(time.Second)) {
			continue
		}
		if options.Timestamps {
			text.WriteString(line.at.Format(time.RFC3339Nano) + " ")
		}
		text.WriteString(line.text + "\n")
	}
	if cut >= 0 {
		return text.String()[:min(cut, text.Len())]
	}
	return text.String()
}

// playLog makes the fake cluster answer requests for logs, unless fails says otherwise.
func playLog(kube *fake.Clientset, log func() *kubeletLog, fails func() error) {
	kube.PrependReactor("get", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if action.GetSubresource() != "log" {
			return false, nil, nil
		}
		options := action.(clienttesting.GenericAction).GetValue().(*corev1.PodLogOptions)
		if err := fails(); err != nil {
			return true, nil, err
		}
		return true, &runtime.Unknown{Raw: []byte(log().text(*options, -1))}, nil
	})
}

// Whatever happens to its streams, each line of a log is passed on once.
func TestLogStreamsAreResumed(t *testing.T) {
	begun := time.Date(2026, 11, 28, 3, 0, 0, 123456789, time.UTC)
	whole := &kubeletLog{}
	var want []string
	for n := range 40 {
		// Many lines in one second, some at the very same time, and an empty one.
		text := fmt.Sprintf("line %d", n)
		if n == 7 {
			text = ""
		}
		whole.lines = append(whole.lines, loggedLine{begun.Add(time.Duration(n/3) * 200 * time.Millisecond), text})
		want = append(want, text)
	}
	for name, breaks := range map[string]func(stream int) (cut int, err error){
		"none":         func(int) (int, error) { return -1, nil },
		"within lines": func(n int) (int, error) { return 137 * n, nil },
		"at once":      func(n int) (int, error) { return 0, nil },
		"no stream for a time": func(n int) (int, error) {
			if n > 1 && n < 60 {
				return 0, errors.New("connection refused")
			}
			return 500, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got []string
				var listened []bool
				streams, ended := 0, make(chan struct{})
				log := &moverLog{
					open: func(_ context.Context, options corev1.PodLogOptions) (io.ReadCloser, error) {
						streams++
						cut, err := breaks(streams)
						if isClosed(ended) {
							cut, err = -1, nil
						}
						if err != nil {
							return nil, err
						}
						return io.NopCloser(strings.NewReader(whole.text(options, cut))), nil
					},
					line:      func(text []byte) { got = append(got, string(text)) },
					listening: func(yes bool) { listened = append(listened, yes) },
				}
				time.AfterFunc(100*time.Second+time.Millisecond, func() { close(ended) })
				begun := time.Now()
				log.follow(t.Context(), ended)
				if !slices.Equal(got, want) {
					t.Errorf("passed on %q", got)
				}
				if took := time.Since(begun); took > 102*time.Second || streams < 100 {
					t.Errorf("it took %s and %d streams, for a mover of 100 s", took, streams)
				}
				if name == "no stream for a time" && (listened[1] || !listened[len(listened)-1]) {
					t.Errorf("was told %v", listened)
				}
			})
		})
	}
}

// A log without timestamps cannot be continued where it broke: lines would be passed on twice.
func TestLogWithoutTimesIsFollowedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		log := &moverLog{
			open: func(context.Context, corev1.PodLogOptions) (io.ReadCloser, error) {
				return io.NopCloser(strings.NewReader("one\ntwo\n")), nil
			},
			line:      func(text []byte) { got = append(got, string(text)) },
			listening: func(bool) {},
		}
		log.follow(t.Context(), make(chan struct{}))
		if !slices.Equal(got, []string{"one", "two"}) {
			t.Errorf("passed on %q", got)
		}
	})
}

// When the mover ends, RunMover lets go of a stream that hangs.
func TestLogThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		opened := 0
		log := &moverLog{
			open: func(ctx context.Context, _ corev1.PodLogOptions) (io.ReadCloser, error) {
				opened++
				return hanging{ctx}, nil
			},
			line: func([]byte) {}, listening: func(bool) {},
		}
		time.AfterFunc(20*time.Second, log.restart)
		begun := time.Now()
		log.follow(ctx, make(chan struct{}))
		if took := time.Since(begun); took != time.Minute || opened != 2 {
			t.Errorf("it ended after %s and %d streams", took, opened)
		}
	})
}

// hanging is a stream that brings nothing until its request is given up.
type hanging struct{ ctx context.Context }

func (h hanging) Read([]byte) (int, error) {
	<-h.ctx.Done()
	return 0, h.ctx.Err()
}

func (h hanging) Close() error { return nil }
