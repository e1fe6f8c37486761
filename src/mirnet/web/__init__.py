"""A local page and an HTTP API: jobs, a worker process for each device, and what guards them.

page/                    what a browser shows; static files
app → api → intake       routes; from a request to a photo on the disk
      gate               who may ask, and how much
jobs → crew → worker     the queue; the parent's and the child's side of a worker process
"""
