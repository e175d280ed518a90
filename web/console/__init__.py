"""Where staff answer: queues, tickets, replies, walk-ins."""
