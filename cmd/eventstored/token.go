package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/evolvego/evolve/store/grpc/server"
)

// maxToken is the largest number of bytes in a token.
const maxToken = 4096

// hashToken prints the line of a -tokens file that accepts the token on standard input.
func hashToken(_ context.Context, args []string, e env) error {
	operands, err := parseFlags(e, flags("hash-token"), args, 2, 2)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(e.stdin, maxToken+2))
	if err != nil {
		return fmt.Errorf("read the token: %w", err)
	}
	token := strings.TrimSpace(string(text))
	switch {
	case token == "":
		return fmt.Errorf("%w: hash-token: there is no token on standard input", errUsage)
	case len(token) > maxToken || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return fmt.Errorf("%w: hash-token: a token is one line of at most %d visible ASCII characters", errUsage, maxToken)
	}
	for _, operand := range operands {
		if len(strings.Fields(operand)) != 1 || strings.ContainsFunc(operand, unicode.IsSpace) {
			return fmt.Errorf("%w: hash-token: %q cannot be a field in a line of fields separated by spaces", errUsage, operand)
		}
	}
	line := fmt.Sprintf("%s %s %x\n", operands[0], operands[1], sha256.Sum256([]byte(token)))
	if strings.HasPrefix(line, "#") {
		return fmt.Errorf("%w: hash-token: a line that begins with # is a comment", errUsage)
	}
	if _, err := server.ReadTokens(strings.NewReader(line)); err != nil {
		return fmt.Errorf("%w: hash-token: %w", errUsage, err)
	}
	_, err = io.WriteString(e.stdout, line)
	return err
}
