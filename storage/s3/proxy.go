package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpproxy"

	"github.com/stsbackup/stsbackup/storage"
)

// proxyOf returns the proxy for a URL, as HTTP_PROXY, HTTPS_PROXY and NO_PROXY say; nil means none.
func proxyOf(getenv func(string) string) func(*url.URL) (*url.URL, error) {
	get := func(name string) string {
		return strings.TrimSpace(cmp.Or(getenv(name), getenv(strings.ToLower(name))))
	}
	config := httpproxy.Config{
		HTTPProxy:  get("HTTP_PROXY"),
		HTTPSProxy: get("HTTPS_PROXY"),
		NoProxy:    get("NO_PROXY"),
		CGI:        getenv("REQUEST_METHOD") != "",
	}
	return config.ProxyFunc()
}

// proxyFor names the proxy between us and an endpoint, without secret parts of its URL; "" means none.
func proxyFor(endpoint *url.URL, getenv func(string) string) string {
	proxy, err := proxyOf(getenv)(endpoint)
	if err != nil || proxy == nil {
		return ""
	}
	return fmt.Sprintf("the proxy %s://%s (%s_PROXY)", proxy.Scheme, proxy.Host, strings.ToUpper(endpoint.Scheme))
}

// proxyError is a proxy's refusal to connect.
type proxyError struct {
	status int
	text   string
}

// Error implements error.
func (e *proxyError) Error() string { return e.text }

// refusedByProxy is an http.Transport's OnProxyConnectResponse.
func refusedByProxy(_ context.Context, _ *url.URL, _ *http.Request, response *http.Response) error {
	if response.StatusCode == http.StatusOK {
		return nil
	}
	return &proxyError{response.StatusCode, printable(response.Status, 100)}
}

// classifyProxy says what it means that we did not get through a proxy; false if something else has failed.
func classifyProxy(err error, f facts) (failure, bool) {
	var (
		refused *proxyError
		connect *net.OpError
	)
	proxy := cmp.Or(f.proxy, "the proxy")
	switch {
	case errors.As(err, &refused):
		return refusedBy(proxy, refused.text, refused.status, f), true
	case errors.As(err, &connect) && connect.Op == "proxyconnect":
		return failure{
			sentinel: storage.ErrUnreachable, reason: proxy + " does not answer (" + innermost(err) + ")", transient: true, silent: true,
			advice: "correct the proxy's variable, or " + directly(f),
		}, true
	}
	return failure{}, false
}

// refusedBy says what a proxy's refusal means. Another attempt makes sense only if the proxy itself is in trouble.
func refusedBy(proxy, text string, status int, f facts) failure {
	refusal := failure{
		sentinel: storage.ErrUnreachable, reason: fmt.Sprintf("%s refuses to connect to %s (%s)", proxy, f.endpoint, text),
		advice: directly(f), transient: status >= http.StatusInternalServerError, silent: status >= http.StatusInternalServerError,
	}
	if status == http.StatusProxyAuthRequired {
		refusal.advice = "give the proxy's name and password in its variable (http://NAME:PASSWORD@HOST:PORT), or " + refusal.advice
	}
	return refusal
}

// directly says how to bypass the proxy.
func directly(f facts) string {
	host := f.endpoint
	if parsed, err := url.Parse(f.endpoint); err == nil {
		host = parsed.Hostname()
	}
	return "add " + host + " to NO_PROXY if it is to be asked directly"
}

// byProxy adds that there is a proxy in between, to a failure about which nothing else is known, before anything has
// ever succeeded. The answer may be the proxy's, which may not know the way.
func (failed failure) byProxy(f facts) failure {
	if f.proxy == "" || f.accepted || errors.Is(failed.sentinel, storage.ErrCredentials) || errors.Is(failed.sentinel, storage.ErrNotExist) {
		return failed
	}
	if failed.transient {
		failed.silent, failed.answer = true, false // whoever has typed the address is waiting
	}
	if failed.advice != "" {
		failed.advice += "; "
	}
	failed.advice += "it was asked by way of " + f.proxy + ": " + directly(f)
	return failed
}
