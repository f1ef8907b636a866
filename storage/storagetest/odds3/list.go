package odds3

import (
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// result is the XML of a page of a listing.
type result struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	EncodingType          string   `xml:"EncodingType,omitempty"`
	IsTruncated           bool
	NextContinuationToken string `xml:"NextContinuationToken,omitempty"`
	Contents              []content
	CommonPrefixes        []common
}

type content struct {
	Key, LastModified, StorageClass string
	Size                            int
}

type common struct{ Prefix string }

// list answers with a page of a listing. A token is the last name of the page before it, with the count of empty pages.
func (s *Server) list(w http.ResponseWriter, r *http.Request, bucket string) {
	query := r.URL.Query()
	after, empty := query.Get("start-after"), 0
	if s.odds.IgnoresStart {
		after = ""
	}
	if token := query.Get("continuation-token"); token != "" && !s.odds.IgnoresToken {
		count, last, _ := strings.Cut(token, " ")
		empty, _ = strconv.Atoi(count)
		after = max(after, last)
	}
	names := s.names(bucket, query.Get("prefix"), query.Get("delimiter"), after)
	page := result{EncodingType: query.Get("encoding-type")}
	limit := 1000
	if asked, err := strconv.Atoi(query.Get("max-keys")); err == nil {
		limit = min(limit, asked)
	}
	if s.odds.PageSize > 0 {
		limit = min(limit, s.odds.PageSize)
	}
	switch {
	case s.odds.EmptyPages < 0:
		page.IsTruncated, page.NextContinuationToken = true, "0 "+after
		limit = 0
	case len(names) > 0 && empty < s.odds.EmptyPages:
		page.IsTruncated, page.NextContinuationToken = true, fmt.Sprintf("%d %s", empty+1, after)
		limit = 0
	case len(names) > limit:
		page.IsTruncated, page.NextContinuationToken = true, "0 "+names[limit-1]
	}
	if s.odds.SaysComplete {
		page.IsTruncated, page.NextContinuationToken = false, ""
	}
	for _, name := range names[:min(limit, len(names))] {
		s.add(&page, bucket, name)
	}
	w.Header().Set("Content-Type", "application/xml")
	_ = xml.NewEncoder(w).Encode(page)
}

// names are the names and common prefixes of a listing that come after the given name.
func (s *Server) names(bucket, prefix, delimiter, after string) []string {
	found := map[string]bool{}
	for key := range s.objects {
		name, in := strings.CutPrefix(key, bucket+"/")
		if !in || !strings.HasPrefix(name, prefix) || s.odds.Hides != nil && s.odds.Hides(name) {
			continue
		}
		if folder, _, nested := strings.Cut(name[len(prefix):], "/"); delimiter != "" && nested {
			name = prefix + folder + "/"
		}
		if name > after {
			found[name] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// add puts a name into a page.
func (s *Server) add(page *result, bucket, name string) {
	shown := name
	if s.odds.ShiftsNames != nil {
		shown = s.odds.ShiftsNames(name)
	}
	if page.EncodingType == "url" {
		shown = strings.ReplaceAll(url.QueryEscape(shown), "%2F", "/")
	}
	o, is := s.objects[bucket+"/"+name]
	if !is {
		page.CommonPrefixes = append(page.CommonPrefixes, common{shown})
		return
	}
	class := "STANDARD"
	if s.odds.Archived != nil && s.odds.Archived(name) {
		class = "GLACIER"
	}
	page.Contents = append(page.Contents, content{
		Key: shown, Size: len(o.data), LastModified: o.stored.UTC().Format("2006-01-02T15:04:05.000Z"), StorageClass: class,
	})
}
