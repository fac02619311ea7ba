"""The process that brings spools to the brokers, one a data directory."""

from runstream.agent.shipping import Agent, Counters
from runstream.agent.thread import start_thread

__all__ = ["Agent", "Counters", "start_thread"]
