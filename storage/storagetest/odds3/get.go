package odds3

import (
	"crypto/md5"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// get answers a GET or a HEAD of an object.
func (s *Server) get(w http.ResponseWriter, r *http.Request, key string) {
	o, ok := s.objects[key]
	_, name, _ := strings.Cut(key, "/")
	switch {
	case !ok:
		Refusal{Status: http.StatusNotFound, Code: "NoSuchKey", Message: "The specified key does not exist."}.write(w, r)
		return
	case s.odds.Archived != nil && s.odds.Archived(name) && r.Method == http.MethodGet:
		Refusal{
			Status:  http.StatusForbidden,
			Code:    "InvalidObjectState",
			Message: "The operation is not valid for the object's storage class",
		}.write(w, r)
		return
	case s.odds.DistrustsMatch && r.Header.Get("If-Match") != "":
		Refusal{Status: http.StatusPreconditionFailed, Code: "PreconditionFailed", Message: "as planned"}.write(w, r)
		return
	}
	etag := fmt.Sprintf(`"%x"`, md5.Sum(o.data))
	if s.odds.ETag != nil {
		etag = s.odds.ETag(name)
	}
	if match := r.Header.Get("If-Match"); match != "" && (match != etag || strings.HasPrefix(etag, "W/")) {
		Refusal{Status: http.StatusPreconditionFailed, Code: "PreconditionFailed", Message: "as planned"}.write(w, r)
		return
	}
	if etag != "" {
		w.Header().Set("ETag", etag)
	}
	w.Header().Set("Last-Modified", o.stored.UTC().Format(http.TimeFormat))
	body, ranged := part(o.data, r.Header.Get("Range"))
	status := http.StatusOK
	if ranged != "" {
		status = http.StatusPartialContent
		w.Header().Set("Content-Range", ranged)
	}
	if body == nil {
		Refusal{Status: http.StatusRequestedRangeNotSatisfiable, Code: "InvalidRange", Message: "as planned"}.write(w, r)
		return
	}
	s.send(w, r, status, body)
}

// part returns the range of data that a header asks for, and Content-Range; no data if there is no such range.
func part(data []byte, asked string) (body []byte, ranged string) {
	text, is := strings.CutPrefix(asked, "bytes=")
	if !is {
		return append([]byte{}, data...), ""
	}
	from, to, _ := strings.Cut(text, "-")
	first, _ := strconv.Atoi(from)
	last := len(data) - 1
	if n, err := strconv.Atoi(to); err == nil {
		last = min(last, n)
	}
	if first > last {
		return nil, ""
	}
	return data[first : last+1], fmt.Sprintf("bytes %d-%d/%d", first, last, len(data))
}

// send sends the body, with the configured oddities.
func (s *Server) send(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	breaks := s.odds.BreakAfter > 0 && len(body) > s.odds.BreakAfter && r.Method == http.MethodGet
	sent := body
	if breaks {
		sent = body[:s.odds.BreakAfter]
	}
	if s.odds.CloseDelimited && r.Method == http.MethodGet {
		s.sendByHand(w, status, sent)
		return
	}
	if !s.odds.NoLength {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return
	}
	_, _ = w.Write(sent)
	if breaks || s.odds.NoLength {
		_ = http.NewResponseController(w).Flush() // before the connection breaks; and without a flush, a short answer would have a length
	}
	if breaks {
		hangUp(w)
	}
}

// sendByHand sends an answer that ends only with the connection.
func (s *Server) sendByHand(w http.ResponseWriter, status int, body []byte) {
	header := w.Header().Clone()
	connection, buffer, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer connection.Close()
	fmt.Fprintf(buffer, "HTTP/1.1 %d %s\r\nConnection: close\r\n", status, http.StatusText(status))
	_ = header.Write(buffer)
	_, _ = io.WriteString(buffer, "\r\n")
	_, _ = buffer.Write(body)
	_ = buffer.Flush()
}

// hangUp resets the connection.
func hangUp(w http.ResponseWriter) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := connection.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = connection.Close()
}
