package projection

import "context"

// WaitHere waits until this process has brought p to position. It does not ask the
// target.
func (p *Projection[T, E]) WaitHere(ctx context.Context, position uint64) error {
	for {
		is, _, _, wake := p.live.waiting(nil)
		if is.Position >= position {
			return nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
