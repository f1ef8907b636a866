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
	// logTail is how many of its last log lines the report about a failed mover holds.
	logTail = 5
	// logRetry is the pause before asking again for a log whose stream has ended.
	logRetry = time.Second
)

// openLog asks for the log of a mover's container.
type openLog func(ctx context.Context, options corev1.PodLogOptions) (io.ReadCloser, error)

// moverLog passes the log of a mover on as it grows. It passes each line on once, however often the stream of the log
// breaks. The log only serves to show progress and to check that there is some: the result does not come this way.
type moverLog struct {
	open openLog
	// line receives the lines.
	line func(text []byte)
	// listening is told, each time that the log is asked for, whether it can be had.
	listening func(bool)

	// The time that Kubernetes gave for the last line passed on, and how many lines with that time were passed on.
	last  time.Time
	count int

	mu   sync.Mutex
	drop context.CancelFunc // ends the present stream
}

// follow passes the log on until ctx ends, or until the log ends after the mover has. The closing of the
// channel ended says that the mover has ended.
func (l *moverLog) follow(ctx context.Context, ended <-chan struct{}) {
	for {
		last := isClosed(ended)
		if again := l.stream(ctx, last); last || !again || ctx.Err() != nil {
			return
		}
		retry := time.NewTimer(logRetry)
		select {
		case <-ctx.Done():
		case <-ended: // what came after the stream broke can still be read
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

// restart ends the present stream, which brings nothing although there is something to read.
func (l *moverLog) restart() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.drop != nil {
		l.drop()
	}
}

// stream passes on the lines of one stream that were not passed on before. It reports whether another stream
// can go on from there. A line without an end was cut off and will come again, unless this is the last stream.
func (l *moverLog) stream(ctx context.Context, last bool) (again bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l.mu.Lock()
	l.drop = cancel
	l.mu.Unlock()
	options := corev1.PodLogOptions{Container: moverContainer, Follow: true, Timestamps: true}
	if !l.last.IsZero() {
		options.SinceTime = &metav1.Time{Time: l.last} // Kubernetes reads it to the second
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
		if !timed { // without a time, nothing tells this line from those of another stream
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

// rest passes on what is left of a log without timestamps.
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

// cutTime splits a line into the timestamp that the kubelet put in front of it, and the text.
func cutTime(line []byte) (at time.Time, text []byte, ok bool) {
	stamp, text, _ := bytes.Cut(line, []byte(" "))
	at, err := time.Parse(time.RFC3339Nano, string(stamp))
	return at, text, err == nil
}

// openLog asks for the log of the mover's pod.
func (r *moverRun) openLog(ctx context.Context, options corev1.PodLogOptions) (io.ReadCloser, error) {
	return r.client.Kube.CoreV1().Pods(r.job.Namespace).GetLogs(r.seen, &options).Stream(ctx)
}

// tail returns the last lines of the mover's log.
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
