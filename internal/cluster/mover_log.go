package cluster

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// maxLogLine bounds one line of a mover's log.
	maxLogLine = 1 << 20
	// logTail is how many of its last log lines a failed mover is reported with.
	logTail = 5
	// logRetry is the pause before a log whose stream has ended is asked for again.
	logRetry = time.Second
)

// openLog asks for the log of a mover's container.
type openLog func(ctx context.Context, options corev1.PodLogOptions) (io.ReadCloser, error)

// moverLog passes the log of a mover on as it grows, each line once, however often the stream breaks that brings it. It is
// only for show and to see that the mover gets on: the result does not come this way.
type moverLog struct {
	open openLog
	// line takes the lines.
	line func(text []byte)
	// listening is told whether the log can be had, each time that it is asked for.
	listening func(bool)

	// The time that Kubernetes gives for the last line that was passed on, and how many lines with that time were.
	last  time.Time
	count int

	mu   sync.Mutex
	drop context.CancelFunc // ends the present stream
}

// follow passes the log on until ctx ends, or its end is reached after the mover has ended, which the closing of ended
// says.
func (l *moverLog) follow(ctx context.Context, ended <-chan struct{}) {
	for {
		last := isClosed(ended)
		if again := l.stream(ctx, last); last || !again || ctx.Err() != nil {
			return
		}
		retry := time.NewTimer(logRetry)
		select {
		case <-ctx.Done():
		case <-ended: // what has come since the stream broke is still to be had
		case <-retry.C:
		}
		retry.Stop()
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// restart ends the present stream, which brings nothing although there is something.
func (l *moverLog) restart() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.drop != nil {
		l.drop()
	}
}

// stream passes on what one stream brings that was not passed on before. It reports whether another can go on from there. A
// line that has no end is one that is cut off, which will come again, unless this is the last stream.
func (l *moverLog) stream(ctx context.Context, last bool) (again bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l.mu.Lock()
	l.drop = cancel
	l.mu.Unlock()
	options := corev1.PodLogOptions{Container: moverContainer, Follow: true, Timestamps: true}
	if !l.last.IsZero() {
		options.SinceTime = &metav1.Time{Time: l.last} // which it is asked for to the second
	}
	log, err := l.open(ctx, options)
	if err != nil {
		l.listening(false)
		return true
	}
	defer func() { _ = log.Close() }() // what has been read has been passed on
	l.listening(true)
	seen, skipping := 0, !l.last.IsZero()
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, maxLogLine)
	lines.Split(func(data []byte, end bool) (int, []byte, error) {
		if end && !last && bytes.IndexByte(data, '\n') < 0 {
			return len(data), nil, nil
		}
		return bufio.ScanLines(data, end)
	})
	for lines.Scan() {
		at, text, timed := cutTime(lines.Bytes())
		if !timed { // nothing would tell this line from those that another stream brings
			l.line(lines.Bytes())
			return l.rest(lines)
		}
		if at.Equal(l.last) {
			seen++
		}
		skipping = skipping && (at.Before(l.last) || at.Equal(l.last) && seen <= l.count)
		if skipping {
			continue
		}
		l.note(at)
		l.line(text)
	}
	return !errors.Is(lines.Err(), bufio.ErrTooLong)
}

// rest passes on what is left of a log without times.
func (l *moverLog) rest(lines *bufio.Scanner) (again bool) {
	for lines.Scan() {
		l.line(lines.Bytes())
	}
	return false
}

// note remembers the time of a line that is passed on.
func (l *moverLog) note(at time.Time) {
	if !at.Equal(l.last) {
		l.last, l.count = at, 0
	}
	l.count++
}

// cutTime takes the time off the front of a line, which the kubelet has put there.
func cutTime(line []byte) (at time.Time, text []byte, ok bool) {
	stamp, text, _ := bytes.Cut(line, []byte(" "))
	at, err := time.Parse(time.RFC3339Nano, string(stamp))
	return at, text, err == nil
}

// openLog asks for the log of the mover's pod.
func (r *moverRun) openLog(ctx context.Context, options corev1.PodLogOptions) (io.ReadCloser, error) {
	return r.client.Kube.CoreV1().Pods(r.job.Namespace).GetLogs(r.seen, &options).Stream(ctx)
}

// tail is the end of the mover's log.
func (r *moverRun) tail(ctx context.Context, lines int64) ([]string, error) {
	if r.seen == "" {
		return nil, nil
	}
	log, err := r.openLog(ctx, corev1.PodLogOptions{Container: moverContainer, TailLines: &lines})
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // what has been read is there
	text, err := io.ReadAll(io.LimitReader(log, maxLogLine))
	if err != nil {
		return nil, err
	}
	return strings.FieldsFunc(strings.TrimSpace(string(text)), func(r rune) bool { return r == '\n' }), nil
}
