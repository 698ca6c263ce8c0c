"""interim"""
import pyarrow as pa
class Lake:
    def __init__(self): self.t={}; self.o={}
    def offset(self,n): return self.o.get(n,0)
    def append(self,b,o):
        for k,v in b.items(): self.t[k]=self.t.get(k,0)+v.num_rows
        self.o.update(o)
    def count(self,n): return self.t.get(n,0)
    def replace_span(self,*a): pass
    def close(self): pass
def open_lake(url): return Lake()
