package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/evolvego/evolve/store/grpc/eventstorev1"
)

// healthcheck asks a server whether it is serving.
func healthcheck(ctx context.Context, args []string, e env) error {
	f := flags("healthcheck")
	address := f.String("address", reachable(orDefault(e.getenv("BIND_ADDR"), defaultListen)), "the `address` of the server")
	ca := f.String("tls-ca", "", "connect with TLS, and trust server certificates signed by a CA in `FILE`")
	cert := f.String("tls-cert", "", "the client certificate to present, in `FILE` (PEM)")
	key := f.String("tls-key", "", "the private key of -tls-cert, in `FILE` (PEM)")
	timeout := f.Duration("timeout", 5*time.Second, "how long to wait for the answer")
	if _, err := parseFlags(e, f, args, 0, 0); err != nil {
		return err
	}
	creds, err := clientCredentials(*ca, *cert, *key)
	if err != nil {
		return err
	}
	conn, err := gogrpc.NewClient(*address, gogrpc.WithTransportCredentials(creds))
	if err != nil {
		return fmt.Errorf("%w: -address: %w", errUsage, err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	answer, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{Service: eventstorev1.EventStore_ServiceDesc.ServiceName})
	if err != nil {
		return fmt.Errorf("%s: %w", *address, err)
	}
	fmt.Fprintln(e.stdout, answer.GetStatus())
	if answer.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		return fmt.Errorf("%s: %s", *address, answer.GetStatus())
	}
	return nil
}

// reachable returns an address at which a server that listens on address can be
// reached.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("localhost", port)
	}
	return address
}

// clientCredentials returns the credentials of a client, for a server over plain TCP if
// ca is empty.
func clientCredentials(ca, cert, key string) (credentials.TransportCredentials, error) {
	if ca == "" {
		return insecure.NewCredentials(), nil
	}
	roots, err := certificates(ca)
	if err != nil {
		return nil, fmt.Errorf("-tls-ca: %w", err)
	}
	c := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if cert != "" || key != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("-tls-cert and -tls-key: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return credentials.NewTLS(c), nil
}
