"""The unprivileged half of a wake: it accepts, holds, and relays."""
